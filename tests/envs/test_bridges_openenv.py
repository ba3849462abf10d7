"""OpenEnv, both ways: exprag's environments served and driven by OpenEnv's own client, and OpenEnv's environments as tasks."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from exprag.environments.expert import play, play_expert
from exprag.errors import ConfigError, EnvError
from exprag.plugins import create
from exprag.runs import RunConfig, RunDirectory, run
from exprag.testing import check_environment
from toy import Toy

pytest.importorskip("openenv")
from openenv.core import GenericEnvClient

from exprag.integrations.openenv import TextAction, TextServerEnvironment, environment_factory

pytestmark = pytest.mark.slow  # OpenEnv imports Gradio, in each server too

HERE = __name__
TESTS = Path(__file__).parents[1]


class Served(TextServerEnvironment):
    """The toy in this process, made without arguments as OpenEnv makes its environments."""

    def __init__(self, die_at: int = -1) -> None:
        super().__init__(environment_factory("toy:Toy", options={"die_at": die_at})()._episodes)

    def step(self, action: TextAction, timeout_s: float | None = None, **others: Any) -> Any:
        return super().step(action, timeout_s)


class Preview(Served):
    """Lists the first two tasks of a split, and counts them all; tells what may be done."""

    def list_tasks(self, split: str) -> list[dict[str, Any]]:
        return super().list_tasks(split)[:2]

    def step(self, action: TextAction, timeout_s: float | None = None, **others: Any) -> Any:
        return super().step(action, timeout_s).model_copy(update={"actions": ["look", "look", "go to desk"]})


def serve(*arguments: str) -> tuple[subprocess.Popen[str], str]:
    command = [sys.executable, "-m", "exprag", "serve-env", *arguments, "--port", "0"]
    environment = os.environ | {"PYTHONPATH": str(TESTS), "COLUMNS": "200"}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment)
    assert process.stdout is not None
    lines = []
    for line in process.stdout:
        lines.append(line)
        if address := re.search(r"served at (http://\S+)", line):
            return process, address[1]
    raise AssertionError(f"the server did not start: {''.join(lines)}")


def end(process: subprocess.Popen[str]) -> None:
    process.send_signal(signal.SIGINT)
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    assert process.stdout is not None
    process.stdout.close()


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    process, address = serve("toy:Toy", "--admissible", "--sessions", "4")
    yield address
    end(process)


def test_openenvs_client_plays_what_is_served(address: str) -> None:
    toy = Toy()
    actions = play_expert(toy, toy.task("test/3"), seed=5).actions
    with GenericEnvClient(base_url=address).sync() as env:
        result = env.reset(split="test", index=3, seed=5)
        assert (result.observation["task"], result.observation["instruction"]) == ("test/3", toy.task("test/3").instruction)
        assert (result.done, result.observation["actions"]) == (False, None)  # the toy cannot tell them
        for action in actions:
            result = env.step({"action": action})
        assert (result.done, result.reward, result.observation["success"]) == (True, 1.0, True)
        assert env.step({"action": "look"}).observation["text"] == "The episode is over."
        state = env.state()
        assert (state["step_count"], state["task"], state["score"]) == (len(actions), "test/3", 1.0)
        assert env.reset(seed=8).observation["task"] == env.reset(seed=8).observation["task"]


def test_sessions_are_apart_and_errors_end_none(address: str) -> None:
    with GenericEnvClient(base_url=address).sync() as one, GenericEnvClient(base_url=address).sync() as other:
        first = one.reset(task="train/0", seed=0)
        other.reset(task="train/1", seed=1)
        other.step({"action": "go to desk"})
        assert one.state()["step_count"] == 0
        with pytest.raises(RuntimeError, match="no task 'nowhere'"):
            one.reset(task="nowhere")
        with pytest.raises(RuntimeError, match="VALIDATION_ERROR"):
            other.step({"move": "look"})
        assert one.reset(task="train/0", seed=0) == first
        assert other.state()["step_count"] == 1


class Page(BaseHTTPRequestHandler):
    """Any other web server: a page for whatever is asked for."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"<html>hello</html>")

    def log_message(self, *arguments: Any) -> None: ...


def test_another_web_server_is_told() -> None:
    with HTTPServer(("127.0.0.1", 0), Page) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            environment = create("environment", "openenv", url=f"http://127.0.0.1:{server.server_port}")
            with pytest.raises(EnvError, match="does not answer as OpenEnv's do"):
                list(environment.tasks("train"))
        finally:
            server.shutdown()
            thread.join()


def test_what_is_served_is_read_back_as_tasks(address: str) -> None:
    with create("environment", "openenv", url=address) as environment:
        task = environment.task("train/2")
        episode = play(environment, task, ["go to desk", "look"])
        assert episode.error is None
        assert episode.steps[0].observation.startswith("You stand at the door.")
        assert episode.task.instruction.startswith("put the ")
        again = play(environment, task, ["go to desk", "look"])
        assert [step.observation for step in again.steps] == [step.observation for step in episode.steps]
        assert environment.step("look")[:3] == environment.step("look")[:3]


def test_the_task_provider_of_a_class_becomes_the_splits_and_the_kit_is_passed() -> None:
    results = list(check_environment(lambda: create("environment", "openenv", environment=f"{HERE}:Served"), 1))
    assert [(result.name, result.detail) for result in results if result.passed is False] == []
    environment = create("environment", "openenv", environment=f"{HERE}:Served")
    assert environment.splits == ("train", "test")
    task = next(environment.tasks("test", {"fetch"}))
    assert (task.id, task.type) == ("test/0", "fetch")
    assert task.instruction == Toy().task("test/0").instruction
    toy = Toy()
    assert play(environment, task, ["look"]).task.instruction == task.instruction
    environment.reset(options={"task": task})
    assert environment.step("look")[4] == {"score": 0.0, "success": False, "valid": True}
    with pytest.raises(ConfigError, match="no split 'dev'"):
        environment.tasks("dev")
    assert play_expert(toy, toy.task("test/0")).success


def test_alfworld_is_served_and_a_server_that_dies_is_an_error_of_the_episode(alfworld_data: Path) -> None:
    process, address = serve("alfworld", "--split", "valid_unseen", "--set", f"data={alfworld_data}")
    with create("environment", "alfworld", data=str(alfworld_data)) as local:
        task = next(local.tasks("valid_unseen"))
        expected = play_expert(local, task)
    with GenericEnvClient(base_url=address).sync() as env:
        result = env.reset(task=task.id)
        assert result.observation["instruction"] == expected.task.instruction
        for step in expected.steps:
            assert result.observation["text"] == step.observation
            result = env.step({"action": step.action})
        assert (result.done, result.observation["success"]) == (True, True)
    environment = create("environment", "openenv", url=address, timeout=20)
    environment.reset(options={"task": "train/0"})
    process.kill()
    process.wait()
    with pytest.raises(EnvError, match=r"does not answer any more: .*The episode is lost"):
        environment.step("look")
    with pytest.raises(EnvError, match="was not reset"):
        environment.step("look")
    with pytest.raises(EnvError, match=f"No OpenEnv server answers at {address}"):
        environment.reset(options={"task": "train/0"})
    environment.close()
    assert process.stdout is not None
    process.stdout.close()


def test_tasks_that_are_counted_but_not_listed_can_be_played() -> None:
    environment = create("environment", "openenv", environment=f"{HERE}:Preview")
    tasks = list(environment.tasks("train"))
    assert [(task.id, task.type) for task in tasks[1:3]] == [("train/1", "carry"), ("train/2", "")]
    assert len(tasks) == 8
    _, info = environment.reset(options={"task": "train/7"})
    assert info["task"].instruction == Toy().task("train/7").instruction
    assert environment.admissible_actions() is None
    environment.step("look")
    assert environment.admissible_actions() == ["look", "go to desk"]


def test_one_that_breaks_is_a_recorded_outcome(tmp_path: Path) -> None:
    options = {"environment": f"{HERE}:Served", "kwargs": {"die_at": 1}}
    config = RunConfig.make(
        environment="openenv", environment_options=options, model="case-based", split="train", limit=2, workers=0, max_steps=4
    )
    summary = run(config, tmp_path / "run")
    assert summary.episodes == 2
    assert sum(summary.errors.values()) == 2
    for episode in RunDirectory(tmp_path / "run").episodes():
        assert episode.error is not None
        assert "The toy died" in episode.error.message


def test_an_action_that_does_not_fit_is_not_understood() -> None:
    environment = create("environment", "openenv", environment=f"{HERE}:Served", action_field="move")
    environment.reset(options={"task": "train/0"})
    observation, _, over, _, info = environment.step("look")
    assert (observation, over, info["valid"]) == ("That action was not understood. Its fields: action.", False, False)


def test_code_and_wrong_options_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    config = RunConfig.make(environment="openenv", environment_options={"environment": f"{HERE}:Served"})
    path.write_text(config.model_dump_json())
    with pytest.raises(ConfigError, match="names code to run"):
        RunConfig.read(path)
    for options, message in (
        ({}, "a server or a class"),
        ({"url": "http://x", "environment": "a:B"}, "a server or a class"),
        ({"url": "localhost:8000"}, "is not a URL"),
        ({"environment": "just_a_name"}, "is not an import path"),
    ):
        with pytest.raises(ConfigError, match=message):
            create("environment", "openenv", **options)


def test_what_cannot_be_served_is_said() -> None:
    from exprag.integrations.openenv import application

    with pytest.raises(ConfigError, match="has no task in split 'train'"):
        application("toy:Toy", types=["none"])
    with pytest.raises(IndexError, match="tasks 0 to 7; not 8"):
        Served().reset(split="train", index=8)
