"""Episodes in threads beside one model, their environments in processes: what workers promise holds, with their results."""

from __future__ import annotations

import os
import random
import signal
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest
from waiting import PATIENCE, gone, start, wait_for

from exprag.bank import Bank
from exprag.environments.expert import play_expert
from exprag.errors import ConfigError, EnvError
from exprag.runs import RunConfig, RunDirectory, run
from exprag.runs.concurrency import divided, episodes_at_once
from exprag.runs.environment_process import EnvironmentHosts
from exprag.trajectory import Trajectory
from toy import Toy


def config(**values: Any) -> RunConfig:
    return RunConfig.make(**{"environment": "toy:Toy", "concurrency": 4, "workers": 1, "max_steps": 4, **values})


def episodes(path: Path) -> dict[str, Trajectory]:
    return {episode.task.id: episode for episode in RunDirectory(path).episodes()}


def contents(path: Path) -> dict[str, Any]:
    """What the episodes say, without times."""
    return {
        id: (episode.actions, episode.success, [[each.id for each in step.recalled] for step in episode.steps])
        for id, episode in episodes(path).items()
    }


def test_they_give_what_workers_give_with_memory_too(tmp_path: Path) -> None:
    bank = Bank.create(str(tmp_path / "bank"))
    toy = Toy()
    bank.add([play_expert(toy, task) for task in toy.tasks("train")])
    values = {"bank": str(tmp_path / "bank"), "model": "case-based", "k": 2, "refresh": "every_step", "max_steps": 6}
    run(config(workers=0, concurrency=None, **values), tmp_path / "alone")
    summary = run(config(workers=2, **values), tmp_path / "together")
    assert (summary.episodes, summary.errors) == (8, {})
    assert contents(tmp_path / "together") == contents(tmp_path / "alone")


@pytest.mark.parametrize("what", ["hang", pytest.param("cling", marks=pytest.mark.slow)])
def test_a_step_that_hangs_ends_its_episode_and_no_other(what: str, tmp_path: Path) -> None:
    """The others have their environments in the process that is ended: they are brought back by replay."""
    sign = tmp_path / "sign"
    stuck = {"environment": "stuck:Stuck", "environment_options": {"what": what, "sign": str(sign)}}
    summary = run(config(**stuck, limit=4, step_timeout=5), tmp_path / "r")
    assert (summary.episodes, summary.errors) == (4, {"environment": 1})
    error = episodes(tmp_path / "r")["test/1"].error
    assert error is not None
    assert "'step' took longer than 5 s (step_timeout): its process was ended" in error.message
    assert gone(int(sign.read_text()))
    run(config(workers=0, concurrency=None, limit=4), tmp_path / "undisturbed")
    expected = contents(tmp_path / "undisturbed")
    assert {id: what for id, what in contents(tmp_path / "r").items() if id != "test/1"} == {
        id: what for id, what in expected.items() if id != "test/1"
    }


def test_an_episode_has_a_limit_too(tmp_path: Path) -> None:
    stuck = {"environment": "stuck:Stuck", "environment_options": {"what": "hang"}}
    summary = run(config(**stuck, limit=2, concurrency=2, workers=2, step_timeout=None, episode_timeout=12), tmp_path / "r")
    assert (summary.episodes, summary.errors) == (2, {"environment": 1})
    assert "longer than 12 s (episode_timeout)" in str(episodes(tmp_path / "r")["test/1"].error)


@pytest.mark.slow
def test_an_episode_that_hangs_beside_the_model_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its thread cannot be ended: it is left alone, and the others go on in the same process."""
    monkeypatch.setattr("exprag.runs.worker_process._OWN_SECONDS", 0)
    summary = run(config(style="stuck:Sleeping", limit=4, concurrency=2, episode_timeout=12), tmp_path / "r")
    assert (summary.episodes, summary.errors) == (4, {"environment": 1})
    assert "longer than 12 s (episode_timeout): its thread was left alone" in str(episodes(tmp_path / "r")["test/1"].error)


def test_a_process_that_dies_costs_nothing_once_and_an_episode_twice(tmp_path: Path) -> None:
    flag = tmp_path / "flag"
    flag.touch()
    once = config(environment_options={"crash_at": 1, "crash_once": str(flag)}, limit=4)
    assert run(once, tmp_path / "once").errors == {}
    assert not flag.exists()
    run(config(workers=0, concurrency=None, limit=4), tmp_path / "undisturbed")
    assert contents(tmp_path / "once") == contents(tmp_path / "undisturbed")
    summary = run(config(environment_options={"crash_at": 1}, limit=1), tmp_path / "always")
    assert (summary.episodes, summary.errors) == (1, {"environment": 1})
    assert "process died 2 times in this episode" in str(episodes(tmp_path / "always")["test/0"].error)


@pytest.mark.parametrize("what", ["bye", pytest.param("interrupt", marks=pytest.mark.slow)])
def test_an_episode_that_exits_is_an_episode_with_an_error(what: str, tmp_path: Path) -> None:
    stuck = {"environment": "stuck:Stuck", "environment_options": {"what": what}}
    summary = run(config(**stuck, limit=3), tmp_path / "r")
    assert (summary.episodes, summary.errors) == (3, {"environment": 1})
    assert episodes(tmp_path / "r")["test/0"].error is None
    log = (tmp_path / "r" / "log.txt").read_text()
    assert log.count("Traceback") == 1, log


def test_code_beside_the_model_that_raises_ends_its_own_episode(tmp_path: Path) -> None:
    summary = run(config(style="stuck:Interrupting", limit=4), tmp_path / "r")
    assert (summary.episodes, summary.errors) == (4, {"plugin": 1})
    assert episodes(tmp_path / "r")["test/1"].error is not None


SCRIPT = """
from exprag.runs import RunConfig, run
if __name__ == "__main__":
    options = {"what": "cling", "task": "test/5", "sign": "sign", "once": True}
    config = RunConfig.make(environment="stuck:Stuck", environment_options=options, max_steps=6, workers=1, concurrency=2)
    run(config, "r")
"""


KILLS = [signal.SIGKILL, *(pytest.param(number, marks=pytest.mark.slow) for number in (signal.SIGINT, signal.SIGTERM))]


@pytest.mark.parametrize("how", KILLS)
def test_a_killed_run_is_completed_by_the_same_command(how: int, tmp_path: Path) -> None:
    process = start(SCRIPT, tmp_path)
    wait_for(tmp_path / "sign", process)  # an environment stands in a step of the sixth task
    children = psutil.Process(process.pid).children(recursive=True)
    lines = tmp_path / "r" / "episodes.jsonl"
    before = lines.read_bytes()
    process.send_signal(how)
    process.communicate(timeout=PATIENCE)
    _, alive = psutil.wait_procs(children, timeout=PATIENCE)
    assert not alive
    assert before.count(b"\n") < 8
    again = start(SCRIPT, tmp_path)
    _, errors = again.communicate(timeout=PATIENCE)
    assert again.returncode == 0, errors
    assert lines.read_bytes().startswith(before)
    assert len(RunDirectory(tmp_path / "r").episodes()) == 8
    run(config(workers=0, concurrency=None, max_steps=6), tmp_path / "undisturbed")
    assert contents(tmp_path / "r") == contents(tmp_path / "undisturbed")


def test_a_killed_player_is_replaced(tmp_path: Path) -> None:
    """The process of the model dies in mid-run: its episodes are played again by the next, and nothing of it stays."""
    script = SCRIPT.replace("cling", "hang")
    process = start(script, tmp_path)
    environment = psutil.Process(int(wait_for(tmp_path / "sign", process)))
    player = environment.parent()
    assert player is not None
    player.kill()
    _, errors = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, errors
    assert gone(environment.pid)
    run(config(workers=0, concurrency=None, max_steps=6), tmp_path / "undisturbed")
    assert contents(tmp_path / "r") == contents(tmp_path / "undisturbed")


def test_a_process_of_environments_is_replaced_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("exprag.runs.environment_process.RECYCLE", 2)
    toy = Toy()
    tasks = list(toy.tasks("test"))
    hosts = EnvironmentHosts(config(), Toy())
    first, second = hosts.make(), hosts.make()
    try:
        seen = []
        first.reset(seed=1, options={"task": tasks[0]})
        first.step("go to desk")
        for task in tasks[1:4]:
            second.reset(seed=1, options={"task": task})
            second.step("look")
            seen.append(second._host.generation)
        assert seen == [1, 2, 2]
        toy.reset(seed=1, options={"task": tasks[0]})
        toy.step("go to desk")
        observation, reward, terminated, truncated, _ = toy.step("look")
        assert first.step("look")[:4] == (observation, reward, terminated, truncated)  # brought back into the second process
        assert first.admissible_actions() == toy.admissible_actions()
    finally:
        hosts.close()


class Fickle(Toy):
    """Another world in each process."""

    def step(self, action: str) -> Any:
        _, *rest = super().step(action)
        return (f"process {os.getpid()}", *rest)


def test_an_environment_that_cannot_be_brought_back_is_an_error() -> None:
    hosts = EnvironmentHosts(config(environment="test_side_by_side:Fickle"), Fickle())
    environment = hosts.make()
    try:
        environment.reset(seed=1, options={"task": next(iter(Toy().tasks("test")))})
        environment.step("look")
        with environment._host.lock:
            environment._host.end()
        with pytest.raises(EnvError, match="could not be brought back to step 1"):
            environment.step("look")
    finally:
        hosts.close()


def test_how_many_is_what_the_user_says_or_what_suits_the_model() -> None:
    assert episodes_at_once(config(concurrency=None)) == 1
    assert episodes_at_once(config(concurrency=9)) == 9
    pytest.importorskip("langchain_huggingface")
    assert episodes_at_once(config(concurrency=None, model="hf:somewhere")) == 16
    assert episodes_at_once(config(concurrency=1, model="hf:somewhere")) == 1
    for values in ({"workers": 0}, {"policy": "expert"}, {"graph": "a.py:graph"}):
        assert episodes_at_once(config(concurrency=None, model="hf:somewhere", **values)) == 1
        with pytest.raises(ConfigError, match="concurrency=4: "):
            episodes_at_once(config(**values))


class Parents(Toy):
    """Says which process plays: that of the environment's parent."""

    def reset(self, **about: Any) -> Any:
        _, info = super().reset(**about)
        return f"player {os.getppid()}", info


@pytest.mark.parametrize("workers", [1, 2])
def test_each_worker_plays_that_many(workers: int, tmp_path: Path) -> None:
    run(config(environment="test_side_by_side:Parents", workers=workers, max_steps=1), tmp_path / "r")
    players = [episode.steps[0].observation for episode in episodes(tmp_path / "r").values()]
    assert len(players) == 8
    assert len(set(players)) == workers


def test_weights_are_held_by_one_process() -> None:
    pytest.importorskip("langchain_huggingface")
    local, server = (config(workers=3, model=model) for model in ("hf:somewhere", "openai:m"))
    assert divided(local) == (1, local)
    assert divided(server) == (3, server.model_copy(update={"workers": 1}))
    assert divided(config(workers=3, concurrency=1)) == (3, config(workers=3, concurrency=1))


MANY = """
from exprag.runs import RunConfig, run
if __name__ == "__main__":
    values = {"environment_options": {"size": 30, "slow": 0.02}, "max_steps": 4, "workers": 2, "concurrency": 6}
    run(RunConfig.make(environment="toy:Toy", **values), "r")
"""


@pytest.mark.slow
def test_twenty_kills_at_random_moments_lose_and_repeat_nothing(tmp_path: Path) -> None:
    whole = tmp_path / "whole"
    whole.mkdir()
    began = time.monotonic()
    assert start(MANY, whole).wait(PATIENCE) == 0
    seconds = time.monotonic() - began
    draw = random.Random(20)
    children: dict[int, psutil.Process] = {}
    lines = tmp_path / "r" / "episodes.jsonl"
    for _ in range(20):
        process = start(MANY, tmp_path)
        before = lines.read_bytes() if lines.exists() else b""
        deadline = time.monotonic() + draw.uniform(0, seconds)
        while time.monotonic() < deadline and process.poll() is None:
            with suppress(psutil.Error):
                children |= {child.pid: child for child in psutil.Process(process.pid).children(recursive=True)}
            time.sleep(0.05)
        process.kill()
        process.communicate(timeout=PATIENCE)
        if lines.exists():
            assert lines.read_bytes().startswith(before[: before.rfind(b"\n") + 1])
    _, alive = psutil.wait_procs(list(children.values()), timeout=PATIENCE)
    assert not alive
    assert start(MANY, tmp_path).wait(PATIENCE) == 0
    assert [len(RunDirectory(folder / "r").episodes()) for folder in (tmp_path, whole)] == [30, 30]
    assert contents(tmp_path / "r") == contents(whole / "r")
