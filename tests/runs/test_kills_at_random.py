"""Twenty kills at random moments of one run: in the end exactly the episodes that were asked for, and no process."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from waiting import PATIENCE, gone, start

from exprag.runs import RunConfig, RunDirectory, run

MARK = "EXPRAG_TEST_OF_KILLS"
SCRIPT = """
from exprag.runs import RunConfig, run
if __name__ == "__main__":
    options = {"size": 600, "slow": 0.02}
    run(RunConfig.make(environment="toy:Toy", environment_options=options, policy="expert", workers=2), "r")
"""


def family(mark: str) -> Iterator[psutil.Process]:
    """The processes that were started with this mark, whoever their parents are."""
    for process in psutil.process_iter():
        try:
            if process.environ().get(MARK) == mark and process.status() != psutil.STATUS_ZOMBIE:
                yield process
        except psutil.Error:
            continue


def lines(file: Path) -> int:
    return file.read_bytes().count(b"\n") if file.exists() else 0


@pytest.mark.slow
def test_twenty_kills_lose_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Some at once after the start, some after a few more episodes; the moments come from a seed and from the machine."""
    monkeypatch.setenv(MARK, str(tmp_path))
    rng = random.Random(20)
    episodes = tmp_path / "r" / "episodes.jsonl"
    before = b""
    for number in range(20):
        process = start(SCRIPT, tmp_path)
        aim = lines(episodes) + rng.choice((0, 1, 2, 5))
        deadline = time.monotonic() + PATIENCE
        while lines(episodes) < aim:
            assert process.poll() is None, process.communicate()[1]
            assert time.monotonic() < deadline
            time.sleep(0.01)
        time.sleep(rng.random() / (2 if aim == 0 else 10))
        process.send_signal(signal.SIGKILL)
        process.communicate(timeout=PATIENCE)
        assert process.returncode == -signal.SIGKILL, f"kill {number}: the run had ended before"
        assert [each.pid for each in family(str(tmp_path)) if not gone(each.pid)] == [], f"kill {number}"
        after = episodes.read_bytes() if episodes.exists() else b""
        assert after.startswith(before[: before.rfind(b"\n") + 1]), f"kill {number}: a line that was there is gone"
        before = after
    assert 0 < lines(episodes) < 600
    monkeypatch.setenv("TOY_HURRY", "1")
    process = start(SCRIPT, tmp_path)
    _, errors = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, errors
    assert [each.pid for each in family(str(tmp_path)) if not gone(each.pid)] == []
    keys = [episode.task.key for episode in RunDirectory(tmp_path / "r").episodes()]
    assert len(keys) == len(set(keys)) == 600
    options = {"size": 600, "slow": 0.02}
    whole = RunConfig.make(environment="toy:Toy", environment_options=options, policy="expert", workers=0, name="r")
    run(whole, tmp_path / "undisturbed")
    ids = [{episode.id for episode in RunDirectory(tmp_path / name).episodes()} for name in ("r", "undisturbed")]
    assert ids[0] == ids[1]
    assert os.listdir(tmp_path / "r") == [name for name in os.listdir(tmp_path / "r") if not name.endswith(".partial")]
