"""One process plays in a run directory, and what a start that was killed leaves is taken up by the next."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest
from waiting import PATIENCE, start, wait_for

from exprag.errors import RunError
from exprag.runs import RunConfig, RunDirectory, run
from exprag.trajectory import Task


def config(**values: Any) -> RunConfig:
    return RunConfig.make(**{"environment": "toy:Toy", "workers": 0, "limit": 3, "max_steps": 2, **values})


PLAYING = """
from exprag.runs import RunConfig, run
if __name__ == "__main__":
    options = {"what": "hang", "sign": "sign", "task": "test/1"}
    run(RunConfig.make(environment="stuck:Stuck", environment_options=options, limit=3, max_steps=2, workers=0), "r")
"""


def test_the_second_process_is_told_who_plays_there(tmp_path: Path) -> None:
    process = start(PLAYING, tmp_path)
    try:
        wait_for(tmp_path / "sign", process)
        with pytest.raises(RunError, match=rf"is being played by process {process.pid} on .+, since 20"):
            run(config(), tmp_path / "r")
    finally:
        process.kill()
        process.communicate(timeout=PATIENCE)
    assert run(config(environment="toy:Toy"), tmp_path / "other").episodes == 3
    assert len(RunDirectory(tmp_path / "r").episodes()) == 1  # the lock of a killed process is free, its episodes are there


def test_a_task_named_twice_is_played_once(tmp_path: Path) -> None:
    summary = run(config(task_ids=("test/1", "test/0", "test/1")), tmp_path / "r")
    assert summary.episodes == 2


FIRST_INSTANT = """
import sys, time
from pathlib import Path
import exprag.files, exprag.runs.directory as directory
from exprag.runs import RunConfig, run

def stand(*_, **__):
    Path("sign").write_text("here")
    time.sleep(3600)

moment = "MOMENT"
if moment == "locked":
    directory.RunDirectory.prepare = stand
elif moment == "half a config":
    real = exprag.files.os.fsync
    exprag.files.os.fsync = stand
elif moment == "config without versions":
    directory.RunDirectory.write_versions = stand
elif moment == "before the first episode":
    directory.RunDirectory.append = stand
if __name__ == "__main__":
    LEARN = {"learn": "all", "k": 1} if moment == "before the first episode" else {}
    run(RunConfig.make(environment="toy:Toy", workers=0, limit=3, max_steps=2, **LEARN), "r")
"""


@pytest.mark.parametrize("moment", ["locked", "half a config", "config without versions", "before the first episode"])
def test_killed_at_the_first_instant_the_same_command_starts(moment: str, tmp_path: Path) -> None:
    process = start(FIRST_INSTANT.replace("MOMENT", moment), tmp_path)
    wait_for(tmp_path / "sign", process)
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=PATIENCE)
    more = {"learn": "all", "k": 1} if moment == "before the first episode" else {}
    assert run(config(**more), tmp_path / "r").episodes == 3
    assert not list((tmp_path / "r").glob("*.partial"))


def test_a_full_disk_at_the_first_instant_leaves_an_empty_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(28, os.strerror(28))

    with monkeypatch.context() as patch:
        patch.setattr("exprag.files.os.fsync", full)
        with pytest.raises(RunError, match=r"No space left.*Free space"):
            run(config(), tmp_path / "r")
    assert run(config(), tmp_path / "r").episodes == 3


def test_a_place_of_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(RunError, match="is a file, not a folder"):
        run(config(), tmp_path / "file")
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.tex").write_text("x")
    with pytest.raises(RunError, match=r"not empty and not a run directory: chapter\.tex"):
        run(config(), tmp_path / "thesis")


def test_a_credential_of_the_model_is_written_nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EXPRAG_MODEL_PASSWORD", "")
    spec = "openai:m?base_url=http://user:hunter2secret@127.0.0.1:9/v1&max_retries=0"
    run(config(model=spec, limit=2), tmp_path / "r")
    for file in (tmp_path / "r").rglob("*"):
        if file.is_file():
            assert "hunter2secret" not in file.read_text(errors="replace"), file.name


def test_versions_name_the_plugins(tmp_path: Path) -> None:
    import json

    run(config(), tmp_path / "r")
    versions = json.loads((tmp_path / "r" / "versions.json").read_text())
    assert versions["plugins"]["exprag"] == versions["packages"]["exprag"]


def test_owed_is_what_has_no_episode(tmp_path: Path) -> None:
    run(config(limit=2), tmp_path / "r")
    tasks = [Task(environment="toy", id=f"test/{n}") for n in range(3)]
    assert [task.id for task in RunDirectory(tmp_path / "r").missing(tasks)] == ["test/2"]
