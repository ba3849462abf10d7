"""The Ray engine on a real Ray of this machine, with two CPUs; each test's driver is a process of its own, as Ray's is."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

import psutil
import pytest
from waiting import PATIENCE, gone, start, wait_for

from exprag.errors import ConfigError
from exprag.runs import RunConfig, RunDirectory, run
from toy import Toy

pytest.importorskip("ray", reason="the package ray is not installed")

SCRIPT = """
import json, sys
from pathlib import Path
import ray
from exprag.errors import ExpragError
from exprag.runs import RunConfig, run

def play(out, environment="stuck:Stuck", **values):
    options = values.pop("options", {})
    values = {"max_steps": 6, "workers": 1, "engine": "ray", "name": "r", **values}
    try:
        summary = run(RunConfig.make(environment=environment, environment_options=options, **values), out)
        outcome = {"episodes": summary.episodes, "errors": summary.errors}
    except ExpragError as error:
        outcome = {"type": type(error).__name__, "message": str(error)}
    with open("outcomes", "a") as lines:
        lines.write(json.dumps(outcome) + chr(10))

if __name__ == "__main__":
    ray.init(num_cpus=2, include_dashboard=False, _node_ip_address="127.0.0.1", logging_level="ERROR")
"""


def script(*calls: str) -> str:
    return SCRIPT + "".join(f"    {call}\n" for call in calls)


def outcomes(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "outcomes").read_text().splitlines()]


def contents(folder: Path) -> list[tuple[str, str, list[str], bool | None]]:
    return sorted((e.task.id, e.id, e.actions, e.success) for e in RunDirectory(folder).episodes())


def family(pid: int) -> list[psutil.Process]:
    """A process and all that it started, keepers too."""
    return psutil.Process(pid).children(recursive=True)


@pytest.mark.slow
def test_an_actor_that_is_killed_costs_its_episode_one_retry(tmp_path: Path) -> None:
    """In the same cluster: a step that takes too long is recorded, and what fails every episode stops the run."""
    process = start(
        script(
            'play("r", options={"what": "hang", "task": "test/3", "sign": "sign", "once": True})',
            'play("slow", options={"what": "hang", "task": "test/1"}, step_timeout=1, limit=3)',
            'play("exits", options={"what": "hang", "task": "none"}, style="stuck:Interrupting", limit=3)',
            'play("unknown", options={"what": "hang", "task": "none"}, model="rekall", limit=3)',
            'play("big", options={"what": "hang", "task": "none"}, workers=3, limit=3)',
            'play("gpu", options={"what": "hang", "task": "none"}, actor_gpus=1, limit=3)',
        ),
        tmp_path,
    )
    worker = psutil.Process(int(wait_for(tmp_path / "sign", process)))  # stands in a step of the fourth task
    actor = next(parent for parent in worker.parents() if "ray::" in " ".join(parent.cmdline()))
    actor.kill()
    _, errors = process.communicate(timeout=5 * PATIENCE)  # six runs
    assert process.returncode == 0, errors
    assert gone(worker.pid)
    killed, slow, exits, unknown, big, gpu = outcomes(tmp_path)
    assert killed == {"episodes": 8, "errors": {}}
    run(RunConfig.make(environment="toy:Toy", max_steps=6, workers=0, name="r"), tmp_path / "undisturbed")
    assert contents(tmp_path / "r") == contents(tmp_path / "undisturbed")
    assert slow == {"episodes": 3, "errors": {"environment": 1}}
    late = next(episode.error for episode in RunDirectory(tmp_path / "slow").episodes() if episode.error)
    assert "took longer than 1 s (step_timeout)" in late.message
    assert exits == {"episodes": 3, "errors": {"plugin": 1}}
    assert "raise KeyboardInterrupt" in (tmp_path / "exits" / "log.txt").read_text()  # logged by an actor, written by the driver
    assert (unknown["type"], big["type"], gpu["type"]) == ("ConfigError", "RunError", "RunError")
    assert "rekall" in unknown["message"]
    assert "An actor needs 3 CPUs; the Ray cluster has 2 CPUs" in big["message"]
    assert "1 GPUs; the Ray cluster has 2 CPUs and 0 GPUs" in gpu["message"]


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_a_run_that_is_stopped_is_completed_and_nothing_of_it_stays(how: int, tmp_path: Path) -> None:
    """Also where an environment started a process that ignores being asked to end, and holds the interpreter."""
    process = start(script('play("r", "stuck:Tree", options={"sign": "sign"}, actors=1)'), tmp_path)
    pids = [int(pid) for pid in wait_for(tmp_path / "sign", process).split()]
    processes = family(process.pid)
    process.send_signal(how)
    process.communicate(timeout=PATIENCE)
    assert all(gone(pid) for pid in pids)
    assert [each.name() for each in processes if not gone(each.pid)] == []
    again = {"environment": "toy:Toy", "max_steps": 6, "name": "r"}
    config = json.loads((tmp_path / "r" / "config.json").read_text())
    assert (config["engine"], config["actors"]) == ("ray", 1)
    (tmp_path / "r" / "config.json").write_text(json.dumps(config | {"environment": "toy:Toy", "environment_options": {}}))
    summary = run(RunConfig.make(**again, workers=0), tmp_path / "r")  # which engine plays changes no result
    assert summary.episodes == len({episode.task.key for episode in RunDirectory(tmp_path / "r").episodes()}) == 8


def test_what_ray_cannot_play_is_said_at_once(tmp_path: Path) -> None:
    for values, message in (({"workers": 0}, "workers=0"), ({"environment_options": {"x": "__main__:Y"}}, "__main__")):
        from exprag.runs.ray_engine import play_on_ray

        config = RunConfig.make(**{"environment": "toy:Toy", "engine": "ray", **values})
        with pytest.raises(ConfigError, match=message):
            next(play_on_ray(config, list(Toy().tasks("test")), tmp_path))


