"""Runs over environments that break their contract: the episode ends as data, and the run goes on."""

from __future__ import annotations

from pathlib import Path

import pytest

from exprag.errors import EnvError
from exprag.runs import RunConfig, RunDirectory, run

FAULTS = ("NanScore", "TextReward", "NoObservation", "ListInfo", "Exits", "ExitsAsGenerator", "OtherTask")


def config(name: str, policy: str) -> RunConfig:
    model = {"model": "case-based"} if policy == "agent" else {}
    return RunConfig.make(environment=f"environments.hostile:{name}", policy=policy, workers=0, limit=3, **model)


@pytest.mark.parametrize("policy", ["expert", "agent"])
@pytest.mark.parametrize("name", FAULTS)
def test_a_bad_episode_is_data(tmp_path: Path, name: str, policy: str) -> None:
    summary = run(config(name, policy), tmp_path / "run")
    assert (summary.episodes, summary.errors) == (3, {"environment": 1})
    episodes = {episode.task.id: episode for episode in RunDirectory(tmp_path / "run").episodes()}
    assert [id for id, episode in episodes.items() if episode.error] == ["test/1"]
    error = episodes["test/1"].error
    assert error is not None
    call = "reset" if name == "OtherTask" else "step"
    assert error.message.startswith(f"The environment 'environments.hostile:{name}' broke in {call}: ")
    again = run(config(name, policy), tmp_path / "run")
    assert again.episodes == 3, "the same command has nothing left to play"


@pytest.mark.parametrize("policy", ["expert", "agent"])
def test_a_close_that_raises_loses_nothing(tmp_path: Path, policy: str) -> None:
    summary = run(config("NoClose", policy), tmp_path / "run")
    assert (summary.episodes, summary.errors) == (3, {})


def test_a_fingerprint_that_raises_stops_the_run_before_its_first_episode(tmp_path: Path) -> None:
    with pytest.raises(EnvError, match="broke in fingerprint: RuntimeError: it has no fingerprint"):
        run(config("NoFingerprint", "expert"), tmp_path / "run")
