"""Gymnasium environments as tasks: what they show, how actions are named, when they are won, what goes wrong."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gymnasium
import pytest
from gymnasium.spaces import Discrete

from exprag.environments.expert import play
from exprag.errors import ConfigError, EnvError
from exprag.gymnasium import AnyText
from exprag.plugins import create
from exprag.runs import RunConfig, RunDirectory, run
from exprag_envs.bridges.gym import GymnasiumEnvironment
from exprag_envs.bridges.gym_text import text_of, uncoloured

HERE = __name__


class Countdown(gymnasium.Env[str, str]):
    """Counts down from its seed's number; says what it wants; may misbehave."""

    def __init__(self, misbehave: str = "", start: int = 3) -> None:
        self.observation_space, self.action_space = AnyText(), AnyText()
        self.misbehave, self._start = misbehave, start

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[str, dict[str, Any]]:
        super().reset(seed=seed)
        self.left = self._start
        return f"{self.left} left", {"instruction": "say less until nothing is left", "admissible_commands": ["less", "wait"]}

    def step(self, action: str) -> tuple[str, float, bool, bool, dict[str, Any]]:
        if self.misbehave == "die":
            raise RuntimeError("the socket is closed")
        if self.misbehave == "space":
            self.action_space = Discrete(2)
        self.left -= (action == "less") and self.misbehave != "endless"
        done = self.left == 0
        return f"{self.left} left", float(done), done, False, {"progress": 1 - self.left / self._start, "fine": self.left == 1}


def countdown(**kwargs: Any) -> GymnasiumEnvironment:
    if "test/Countdown-v0" not in gymnasium.registry:
        gymnasium.register("test/Countdown-v0", entry_point=Countdown)
    return GymnasiumEnvironment("test/Countdown-v0", **kwargs)


@pytest.fixture(autouse=True)
def _registry() -> Iterator[None]:
    yield
    gymnasium.registry.pop("test/Countdown-v0", None)


def test_a_text_environment_is_played_and_won() -> None:
    environment = countdown()
    task = environment.task("test/Countdown-v0/train/7")
    assert (task.split, task.type) == ("train", "test/Countdown-v0")
    episode = play(environment, task, ["less", "dance", "less", "less"])
    assert (episode.success, episode.score, episode.ended) == (True, 1.0, "terminated")
    assert episode.task.instruction == "say less until nothing is left"
    assert [step.observation for step in episode.steps] == ["3 left", "2 left", "2 left", "1 left"]
    environment.reset(options={"task": task})
    assert environment.admissible_actions() == ["less", "wait"]


def test_the_success_rule_is_an_option() -> None:
    def ends(**options: Any) -> tuple[bool | None, float | None]:
        environment = countdown(**options)
        episode = play(environment, environment.task("test/Countdown-v0/train/0"), ["less", "less"])
        return episode.success, episode.score

    assert ends() == (False, 0.0)
    assert ends(success="fine") == (True, 1.0)
    assert ends(success=0.0) == (True, 1.0)
    assert ends(success=1.0) == (False, 0.0)
    assert ends(scale=2.0) == (False, 0.0)


def test_discrete_actions_have_names_and_drawings_are_text() -> None:
    with create("environment", "gymnasium", id="FrozenLake-v1", kwargs={"is_slippery": False}) as environment:
        task = environment.task("FrozenLake-v1/test/0")
        observation, info = environment.reset(options={"task": task})
        assert observation.splitlines()[0].strip() == "" or "[S]FFF" in observation
        assert environment.admissible_actions() == ["left", "down", "right", "up"]
        assert environment.max_steps(task) == 100
        assert environment.step("fly")[4]["valid"] is False
        for action in ("down", "Down ", "right", "right", "down", "right"):
            _, reward, terminated, _, info = environment.step(action)
            assert info["valid"] is True
        assert (reward, terminated, info["success"]) == (1, True, True)
        assert environment.step("down")[1:4] == (0.0, True, False)


def test_what_may_not_be_done_now_is_not_admissible() -> None:
    with create("environment", "gymnasium", id="Taxi-v4") as environment:
        environment.reset(options={"task": "Taxi-v4/train/3"})
        assert set(environment.admissible_actions()) < {"south", "north", "east", "west", "pickup", "dropoff"}


def test_a_class_needs_no_registration() -> None:
    id = f"{HERE}:Countdown"
    environment = GymnasiumEnvironment(id, kwargs={"start": 1}, action_templates=["less", "wait"])
    assert play(environment, environment.task(f"{id}/dev/2"), ["less"]).success is True
    assert environment.action_templates == ("less", "wait")


def test_colours_become_words() -> None:
    assert uncoloured("\x1b[41mS\x1b[0mF\n\x1b[34;1mR\x1b[0m: \x1b[43m \x1b[0m\x1b[2J") == "[S]F\nR(blue): [ ]"
    assert text_of({"chat": "hello", "board": [1]}, None) == "chat: hello"
    assert text_of((1, 2.5), None) == "1, 2.5"


def test_an_environment_that_changes_its_action_space_ends_as_an_error() -> None:
    environment = countdown(kwargs={"misbehave": "space"})
    episode = play(environment, environment.task("test/Countdown-v0/train/0"), ["wait", "wait"])
    assert episode.ended == "error"
    assert episode.error is not None
    assert "changed its action space in mid-episode, from AnyText() to Discrete(2)" in episode.error.message


def test_one_that_dies_is_an_error_and_the_next_reset_starts_again() -> None:
    environment = countdown(kwargs={"misbehave": "die"})
    task = environment.task("test/Countdown-v0/train/0")
    episode = play(environment, task, ["wait"])
    assert episode.error is not None
    assert "the socket is closed" in episode.error.message
    with pytest.raises(EnvError, match="was not reset"):
        environment.step("wait")
    assert environment.reset(options={"task": task})[0] == "3 left"


def test_one_that_never_ends_is_truncated_by_the_run(tmp_path: Path) -> None:
    options = {"id": f"{HERE}:Countdown", "kwargs": {"misbehave": "endless"}, "max_steps": 6}
    config = RunConfig.make(
        environment="gymnasium", environment_options=options, model="case-based", split="train", limit=1, workers=0
    )
    run(config, tmp_path / "run")
    (episode,) = RunDirectory(tmp_path / "run").episodes()
    assert (episode.ended, episode.success, len(episode.steps)) == ("truncated", False, 6)


def test_code_in_a_file_is_refused(tmp_path: Path) -> None:
    named = f"{HERE}:Countdown"
    for options in ({"id": named}, {"id": ["a", named]}, {"id": "x-v0", "setup": f"{HERE}:countdown"}):
        path = tmp_path / "config.json"
        path.write_text(RunConfig.make(environment="gymnasium", environment_options=options).model_dump_json())
        with pytest.raises(ConfigError, match="names code to run"):
            RunConfig.read(path)
        assert RunConfig.read(path, allow_code=True).environment_options == options
    with pytest.raises(ConfigError, match="neither an id nor an import path"):
        GymnasiumEnvironment("os:Evil-v0")  # Gymnasium would import the module


def test_what_is_wrong_is_said() -> None:
    with pytest.raises(ConfigError, match="names no game"):
        GymnasiumEnvironment()
    with pytest.raises(ConfigError, match="whole number from 1 on"):
        GymnasiumEnvironment("FrozenLake-v1", tasks_per_split=0)
    environment = GymnasiumEnvironment("NoSuchGame-v0")
    with pytest.raises(EnvError, match="NoSuchGame"):
        environment.reset(options={"task": "NoSuchGame-v0/train/0"})
    for wrong in ("FrozenLake-v1/train/100", "FrozenLake-v1/train/01", "train/1", "", "FrozenLake-v1/trian/1"):
        with pytest.raises(EnvError, match="has no task"):
            GymnasiumEnvironment("FrozenLake-v1").task(wrong)


def test_babyai_is_told_in_words_and_its_bot_wins() -> None:
    with create("environment", "babyai", id="BabyAI-UnlockPickup-v0") as environment:
        observation, info = environment.reset(options={"task": "BabyAI-UnlockPickup-v0/train/2"})
        assert info["task"].instruction == "pick up the green box"
        assert observation == "Your task: pick up the green box.\nYou see a wall 1 step ahead. You carry nothing."
        texts = [environment.step(action)[0] for action in environment.expert()]
    assert texts[0].startswith("You see a grey key 3 steps ahead and 2 steps to the left; a wall 4 steps ahead.")
    assert texts[-1].endswith("You carry a green box.")
    with pytest.raises(ConfigError, match="no level 'BabyAI-Nowhere-v0'"):
        create("environment", "babyai", id="BabyAI-Nowhere-v0").reset(options={"task": "BabyAI-Nowhere-v0/train/0"})


def test_what_minigrid_prints_stays_out_of_the_output(capsys: pytest.CaptureFixture[str]) -> None:
    with create("environment", "babyai", id="BabyAI-Pickup-v0") as environment:
        for number in range(4):
            environment.reset(options={"task": f"BabyAI-Pickup-v0/train/{number}"})
    output = capsys.readouterr()
    assert "Sampling rejected" in output.err
    assert output.out == ""


@pytest.mark.parametrize("id", ["FrozenLake-v1", "CliffWalking-v1", "Blackjack-v1", "Taxi-v4"])
def test_runs_go_through(id: str, tmp_path: Path) -> None:
    config = RunConfig.make(
        environment="gymnasium", environment_options={"id": id}, model="case-based", split="test", limit=2, max_steps=4, workers=0
    )
    summary = run(config, tmp_path / "run")
    assert (summary.episodes, summary.errors) == (2, {})
