"""Trackers behind one hook: told after the files, left out where they fail, read back by their own readers."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from exprag.errors import ConfigError, PluginError
from exprag.runs import RunConfig, RunDirectory
from exprag.runs import run as run_episodes
from exprag.tracking import Tracker, make_tracker, tracked


class Notes(Tracker):
    """Keeps what it is told, and how many episodes lay on disk then; `fails_at` an episode, it raises."""

    def __init__(self, out: Path, fails_at: int = 0) -> None:
        self.out, self.fails_at, self.events = out, fails_at, list[tuple[Any, ...]]()

    def run_start(self, name: str, config: Mapping[str, Any], folder: Path) -> None:
        self.events.append(("start", name, folder == self.out, config["environment"]))

    def episode(self, number: int, values: Mapping[str, float]) -> None:
        if number == self.fails_at:
            raise ConnectionError("api_key=abcdefgh12345678 was refused")
        self.events.append(("episode", number, len(RunDirectory(self.out).episodes()), set(values)))

    def run_end(self, values: Mapping[str, float]) -> None:
        self.events.append(("end", values["episodes"], values.get("success")))


def config(limit: int = 3) -> RunConfig:
    return RunConfig.make(environment="alfworld-generated", limit=limit, max_steps=3, workers=0)


def test_a_tracker_is_told_what_is_on_disk_and_again_after_an_interruption(tmp_path: Path) -> None:
    out = tmp_path / "run"
    notes, calls = Notes(out), list[tuple[int, int]]()
    with tracked([notes], config(), out, lambda number, total, _: calls.append((number, total))) as progress:
        run_episodes(config(), out, progress=progress)
    start, *episodes, end = notes.events
    assert start == ("start", "run", True, "alfworld-generated")
    assert [event[1:3] for event in episodes] == [(1, 1), (2, 2), (3, 3)]
    assert {"success", "success_rate", "score", "steps", "seconds"} <= episodes[0][3]
    assert end == ("end", 3.0, 0.0)
    assert calls == [(0, 3), (1, 3), (2, 3), (3, 3)], "the progress bar is told as well"
    again = Notes(out)
    with tracked([again], config(), out) as progress:
        run_episodes(config(), out, progress=progress)
    assert [event[0] for event in again.events] == ["start", "end"]


def test_a_tracker_that_fails_is_left_out_and_the_run_goes_on(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    out = tmp_path / "run"
    broken, notes = Notes(out, fails_at=2), Notes(out)
    with caplog.at_level(logging.WARNING, "exprag.tracking"), tracked([broken, notes], config(), out) as progress:
        summary = run_episodes(config(), out, progress=progress)
    assert summary.episodes == 3
    assert [event[0] for event in broken.events] == ["start", "episode"]
    assert len(notes.events) == 5
    assert "left out" in caplog.text
    assert "abcdefgh12345678" not in caplog.text


def test_a_run_that_never_begins_tells_nobody(tmp_path: Path) -> None:
    notes = Notes(tmp_path / "run")
    with pytest.raises(ConfigError), tracked([notes], config(), tmp_path / "run") as progress:
        run_episodes(config().changed(split="nowhere"), tmp_path / "run", progress=progress)
    assert notes.events == []


def test_unknown_and_missing_trackers_are_named_before_anything_is_played(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match="tensorboard"):
        make_tracker("tensorbord")
    monkeypatch.setitem(__import__("sys").modules, "wandb", None)
    with pytest.raises(PluginError, match="pip install wandb"):
        make_tracker("wandb")
    monkeypatch.setitem(__import__("sys").modules, "mlflow", None)
    with pytest.raises(PluginError, match=r"pip install 'exprag\[mlflow\]'"):
        make_tracker("mlflow")


def play(name: str, out: Path) -> None:
    if find_spec(name) is None:  # and not importorskip: what mlflow reads when it is imported must be set by then
        pytest.skip(f"{name} is not installed")
    with tracked([name], config(2), out) as progress:
        run_episodes(config(2), out, progress=progress)


def test_tensorboard_reads_the_scalars(tmp_path: Path) -> None:
    play("tensorboard", tmp_path / "run")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    board = EventAccumulator(str(tmp_path / "run" / "tensorboard"))
    board.Reload()
    assert [(event.step, event.value) for event in board.Scalars("episode/steps")] == [(1, 3.0), (2, 3.0)]
    assert [event.value for event in board.Scalars("run/episodes")] == [2.0]


def test_wandb_writes_offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WANDB_MODE", raising=False)
    play("wandb", tmp_path / "run")
    (log,) = (tmp_path / "run" / "wandb").glob("offline-run-*/*.wandb")
    until = time.monotonic() + 60  # its own process writes
    while b"episode/success_rate" not in log.read_bytes():
        assert time.monotonic() < until
        time.sleep(0.1)


def test_trackio_keeps_the_figures_in_its_database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRACKIO_DIR", str(tmp_path / "trackio"))
    play("trackio", tmp_path / "run")
    assert (tmp_path / "trackio" / "exprag.db").is_file()


def test_mlflow_keeps_the_figures_in_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_EXPERIMENT_NAME"):
        monkeypatch.delenv(name, raising=False)
    out = tmp_path / "run"
    play("mlflow", out)
    import mlflow
    from mlflow.tracking import MlflowClient

    client = MlflowClient(tracking_uri=(out / "mlflow").as_uri())
    experiment = client.get_experiment_by_name("exprag")
    (record,) = client.search_runs([experiment.experiment_id])
    assert (record.info.run_name, record.info.status) == ("run", "FINISHED")
    assert record.data.params["environment"] == "alfworld-generated"
    assert record.data.params["agent.search_mode"] == config().agent.search_mode
    history = client.get_metric_history(record.info.run_id, "episode/steps")
    assert [(each.step, each.value) for each in history] == [(1, 3.0), (2, 3.0)]
    assert record.data.metrics["run/episodes"] == 2.0
    artifact = client.download_artifacts(record.info.run_id, "config.json", str(tmp_path))
    assert json.loads(Path(artifact).read_text(encoding="utf-8"))["limit"] == 2
    assert mlflow.telemetry.get_telemetry_client() is None, "nothing phones home"
