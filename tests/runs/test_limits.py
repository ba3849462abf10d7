"""What hangs, clings or exits costs one episode: the run goes on, says so, and leaves no process behind."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import psutil
import pytest
from waiting import PATIENCE, gone, start, wait_for

from exprag.errors import ExpragError, RunError
from exprag.runs import RunConfig, RunDirectory, run


def config(what: str, **values: Any) -> RunConfig:
    options = {"what": what, **values.pop("options", {})}
    about = {"environment": "stuck:Stuck", "environment_options": options, "limit": 3, "max_steps": 2, "workers": 1}
    return RunConfig.make(**{**about, **values})


def errors(out: Path) -> dict[str, str]:
    return {e.task.id: e.error.message if e.error else "" for e in RunDirectory(out).episodes()}


@pytest.mark.parametrize("what", ["hang", "cling"])
def test_a_step_that_hangs_is_ended_and_recorded(what: str, tmp_path: Path) -> None:
    sign = tmp_path / "sign"
    summary = run(config(what, options={"sign": str(sign)}, step_timeout=1), tmp_path / "r")
    assert (summary.episodes, summary.errors) == (3, {"environment": 1})
    assert "longer than 1 s (step_timeout)" in errors(tmp_path / "r")["test/1"]
    assert gone(int(sign.read_text()))


def test_an_episode_has_a_limit_too(tmp_path: Path) -> None:
    summary = run(config("hang", step_timeout=None, episode_timeout=2), tmp_path / "r")
    assert (summary.episodes, summary.errors) == (3, {"environment": 1})
    assert "longer than 2 s (episode_timeout)" in errors(tmp_path / "r")["test/1"]


@pytest.mark.parametrize("workers", [0, 1])
@pytest.mark.parametrize("what", ["bye", "interrupt"])
def test_an_episode_that_exits_is_an_episode_with_an_error(what: str, workers: int, tmp_path: Path) -> None:
    summary = run(config(what, workers=workers), tmp_path / "r")
    assert (summary.episodes, summary.errors) == (3, {"environment": 1})
    assert errors(tmp_path / "r")["test/0"] == ""


SCRIPT = """
from exprag.runs import RunConfig, run
if __name__ == "__main__":
    options = {"what": "WHAT", "sign": "sign", "task": "test/1"}
    config = RunConfig.make(environment="stuck:Stuck", environment_options=options, limit=3, max_steps=2, workers=1)
    run(config, "r")
"""


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_no_worker_outlives_its_run_whatever_it_ignores(how: int, tmp_path: Path) -> None:
    process = start(SCRIPT.replace("WHAT", "cling"), tmp_path)
    worker = int(wait_for(tmp_path / "sign", process))
    process.send_signal(how)
    process.communicate(timeout=PATIENCE)
    assert gone(worker)


def test_a_run_in_which_every_episode_fails_stops_and_is_played_again(tmp_path: Path) -> None:
    values = {"environment": "toy:Toy", "workers": 0, "max_steps": 3, "stop_after_errors": 3}
    broken = RunConfig.make(**values, model="openai:m?base_url=http://127.0.0.1:9/v1&max_retries=0")
    with pytest.raises(RunError, match="3 episodes in a row ended in an error of the model"):
        run(broken, tmp_path / "r")
    assert RunDirectory(tmp_path / "r").episodes() == []
    assert "3 episodes in a row" in (tmp_path / "r" / "log.txt").read_text()
    fixed = RunConfig.make(**values)
    assert run(fixed, tmp_path / "r").episodes == 8


def test_single_errors_stop_nothing(tmp_path: Path) -> None:
    summary = run(config("bye", workers=0, stop_after_errors=2, limit=4), tmp_path / "r")
    assert (summary.episodes, summary.errors) == (4, {"environment": 1})


SPAWNING = """
import os, time
from pathlib import Path
from exprag.runs import RunConfig, run
from exprag.runs.worker_process import WorkerProcess

def stand(self, task):
    Path("sign.partial").write_text(str(self._process.pid))
    os.replace("sign.partial", "sign")
    time.sleep(3600)

if __name__ == "__main__":
    WorkerProcess.play = stand  # the worker was started this instant: it imports
    run(RunConfig.make(environment="toy:Toy", limit=3, max_steps=2, workers=1), "r")
"""


def test_a_worker_whose_parent_dies_while_it_starts_ends(tmp_path: Path) -> None:
    process = start(SPAWNING, tmp_path)
    worker = int(wait_for(tmp_path / "sign", process))
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=PATIENCE)
    assert gone(worker)


def test_ctrl_c_while_workers_start_prints_no_traceback_of_theirs(tmp_path: Path) -> None:
    process = start(SPAWNING, tmp_path)
    wait_for(tmp_path / "sign", process)
    for child in psutil.Process(process.pid).children(recursive=True):
        child.send_signal(signal.SIGINT)  # as a terminal does, to the whole group
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=PATIENCE)
    assert errors.count("Traceback") == 1, errors  # the script's own
    assert "resource_tracker" not in errors


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("exits", "died 2 times before its first episode"),
        ("hangs", r"not ready for its first episode after 4 s"),
        ("interrupts", "could not be (made|set up): KeyboardInterrupt"),
    ],
)
def test_a_worker_that_cannot_be_set_up_stops_the_run(how: str, message: str, tmp_path: Path) -> None:
    options, limit = {"how": how, "starter": os.getpid()}, 4 if how == "hangs" else None
    broken = RunConfig.make(environment="stuck:NeverMade", environment_options=options, limit=3, workers=1, setup_timeout=limit)
    with pytest.raises(ExpragError, match=message):
        run(broken, tmp_path / "r")
    assert RunDirectory(tmp_path / "r").episodes() == []


TREE = """
from exprag.runs import RunConfig, run
if __name__ == "__main__":
    options = {"sign": "sign"}
    run(RunConfig.make(environment="stuck:Tree", environment_options=options, limit=1, workers=1, step_timeout=LIMIT), "r")
"""


@pytest.mark.parametrize("how", ["the limit", "SIGKILL", "SIGINT"])
def test_what_an_environment_started_ends_with_it(how: str, tmp_path: Path) -> None:
    """Also where the worker can neither be asked nor watch its parent: it is held in a call that lets no other thread run."""
    process = start(TREE.replace("LIMIT", "2" if how == "the limit" else "None"), tmp_path)
    worker, started = map(int, wait_for(tmp_path / "sign", process).split())
    if how != "the limit":
        process.send_signal(getattr(signal, how))
    process.communicate(timeout=PATIENCE)
    assert gone(worker)
    assert gone(started)
