"""A local model folder plays an episode through the graph: the real loading code, a tiny model made on the spot."""

from __future__ import annotations

from pathlib import Path

from exprag.graph import build_agent
from exprag.trajectory import Trajectory
from toy import Toy


def test_a_local_folder_plays(tiny_model: Path) -> None:
    agent = build_agent(Toy, f"hf:{tiny_model}?max_new_tokens=8", max_steps=3)
    episode = Trajectory.from_dict(agent.invoke({"task": "test/0"})["trajectory"])
    assert episode.ended in ("truncated", "error")
    assert episode.provenance.model.startswith("hf:")
    if episode.ended == "truncated":  # untrained as it is, it may also say nothing at all three times running
        assert len(episode.steps) == 3
        assert all(step.usage and step.usage.prompt > 0 for step in episode.steps)
    else:
        assert episode.error is not None
        assert "no action in 3 turns" in episode.error.message
