"""A worker that takes too much memory costs its episode, and no other."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest
from stuck import Answer
from waiting import PATIENCE, gone

from exprag.errors import RunError
from exprag.runs import RunConfig, RunDirectory, run
from exprag.runs.memory import GIGABYTE, resident
from toy import Toy

pytestmark = pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="memory is measured through /proc")

EATER = "x = bytearray(700_000_000); print(len(x), flush=True); import time; time.sleep(3600)"


class Greedy(Toy):
    """In the task test/1, at its first step: a process that it starts holds 0.7 GB, and the step does not come back."""

    def __init__(self, sign: str, **options: Any) -> None:
        super().__init__(**options)
        self._sign = sign

    def step(self, action: str) -> Answer:
        if self._task is not None and self._task.id == "test/1":
            eater = subprocess.Popen([sys.executable, "-c", EATER], stdout=subprocess.DEVNULL)
            Path(self._sign).write_text(str(eater.pid))
            eater.wait()
        return super().step(action)


def config(sign: Path, **values: Any) -> RunConfig:
    about = {"environment": "test_memory_limit:Greedy", "environment_options": {"sign": str(sign)}, "limit": 3, "max_steps": 2}
    return RunConfig.make(**{**about, "workers": 1, "worker_memory": 0.6, **values})


@pytest.mark.parametrize("concurrency", [1, 2])
def test_the_episode_is_recorded_and_the_others_are_played(concurrency: int, tmp_path: Path) -> None:
    summary = run(config(tmp_path / "sign", concurrency=concurrency), tmp_path / "r")
    assert (summary.episodes, summary.errors) == (3, {"environment": 1})
    (error,) = [episode.error for episode in RunDirectory(tmp_path / "r").episodes() if episode.error]
    assert "was ended. It held 0." in error.message
    assert "more than 0.6 GB (worker_memory)" in error.message
    assert gone(int((tmp_path / "sign").read_text()))


def test_a_worker_that_does_not_fit_stops_the_run(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"before its first episode\. It held .+ GB"):
        run(config(tmp_path / "sign", worker_memory=0.01), tmp_path / "r")


def test_what_a_process_started_is_counted() -> None:
    code = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {EATER!r}])"
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        process.stdout.readline()  # of the inner one, which holds it now
        assert 0.7 * GIGABYTE < resident(process.pid) < 1.0 * GIGABYTE
        alone = psutil.Process(process.pid).memory_info().rss
        assert resident(process.pid) - alone > 0.69 * GIGABYTE
    finally:
        for each in psutil.Process(process.pid).children(recursive=True):
            each.kill()
        process.communicate(timeout=PATIENCE)
    assert resident(process.pid) == 0
