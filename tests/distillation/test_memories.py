"""Memories side by side: the same episodes, tasks and budget, paired with no memory."""

from __future__ import annotations

from pathlib import Path

import pytest
from command_line import call
from hints_material import settings

from exprag.distillation.memories import compare_memories, lines_of
from exprag.errors import ConfigError
from exprag.evaluation import load_run


@pytest.mark.slow
def test_memories_are_written_from_the_same_episodes_and_compared_with_none(tmp_path: Path) -> None:
    config = settings(extract=4, held_out=3, k=5, expert_successes=True, run={"agent": {"hint_budget": 120}})
    said: list[str] = []
    # the baseline is no language model: it answers with prose, so that nothing can be written with it, and the comparison goes on
    memories = [("workflows", {}), ("strategies", {"model": "case-based"})]
    table = compare_memories(config, memories, tmp_path / "out", said.append)
    assert [outcome.memory for outcome in table] == ["none", "workflows", "strategies"]
    none, workflows, strategies = table
    assert (none.arm.success, none.reached) == (0.0, 0)
    assert workflows.arm.success > 0
    assert (workflows.reached, strategies.reached) == (3, 0)
    assert 0 < workflows.memory_tokens <= 120
    assert (strategies.items, strategies.writing_tokens > 0) == (0, True)
    assert any(line.startswith("strategies: hints: 0 of 0") and "refusals" in line for line in said)
    base, arm = (load_run(tmp_path / "out" / "held-out" / name).episodes for name in ("base", "workflows"))
    assert {episode.task.id for episode in base} == {episode.task.id for episode in arm}
    assert len(lines_of(table)) == 4
    before = (tmp_path / "out" / "memories.json").read_bytes()
    compare_memories(config, memories, tmp_path / "out", said.append)
    assert (tmp_path / "out" / "memories.json").read_bytes() == before


def test_distillers_that_ask_a_model_need_one(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="insights ask a chat model, and none is named"):
        call("compare-memories", "--env", "alfworld-generated", "--memories", "workflows,insights", "--out", tmp_path / "out")
