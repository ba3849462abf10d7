"""TextArena and TextWorldExpress through their bridges: real games, won by moves that win them, and what goes wrong."""

from __future__ import annotations

import os
import random
import signal
from pathlib import Path
from typing import Any

import pytest
from command_line import exprag

from exprag.environments.expert import play, validate
from exprag.errors import ConfigError, EnvError
from exprag.plugins import create
from exprag.runs import RunDirectory
from exprag_envs.bridges.chance import GlobalChance

HANOI = ["A C", "[A B]", "[C B]", "[A C]", "[B A]", "[B C]", "[A C]"]
GAMES = [
    "2048-v0-ultra-easy",
    "Bandit-v0",
    "Blackjack-v0",
    "Cryptarithm-v0",
    "FifteenPuzzle-v0",
    "FrozenLake-v0",
    "GuessTheNumber-v0",
    "LightsOut-v0",
    "LogicPuzzle-v0",
    "Mastermind-v0",
    "Minesweeper-v0",
    "Secretary-v0",
    "TowerOfHanoi-v0",
]


def test_a_game_is_won_by_its_solution() -> None:
    environment = create("environment", "textarena", id="TowerOfHanoi-v0")
    episode = play(environment, environment.task("TowerOfHanoi-v0/train/0"), HANOI)
    assert (episode.success, episode.score, episode.ended, len(episode.steps)) == (True, 1.0, "terminated", 7)
    assert episode.task.instruction.startswith("You are playing Tower of Hanoi with 3 disks.")
    assert "A: [3, 2, 1]" in episode.steps[0].observation
    assert "[A C]" not in episode.steps[1].observation  # no echo of the own move, and not the whole conversation
    assert [step.reward for step in episode.steps] == [0, 0, 0, 0, 0, 0, 1]


def test_a_seed_is_a_world_and_splits_have_other_seeds() -> None:
    environment = create("environment", "textarena", id="GuessTheNumber-v0")

    def number(task: str) -> int:
        environment.reset(options={"task": f"GuessTheNumber-v0/{task}"})
        low, high = 1, 20
        while low < high:
            middle = (low + high) // 2
            observation, _, over, _, info = environment.step(f"I guess [{middle}]")
            if over:
                assert info["success"]
                return middle
            low, high = (middle + 1, high) if "higher" in observation else (low, middle - 1)
        return low

    numbers = [number(f"{split}/{n}") for split in ("train", "test") for n in range(6)]
    assert numbers == [number(f"{split}/{n}") for split in ("train", "test") for n in range(6)]
    assert len(set(numbers)) > 4
    assert numbers[:6] != numbers[6:]


def test_a_second_refused_move_in_a_row_ends_the_game() -> None:
    environment = create("environment", "textarena", id="Mastermind-v0")
    environment.reset(options={"task": "Mastermind-v0/dev/1"})
    observation, _, over, _, info = environment.step("[1 2 3]")
    assert (over, info["valid"]) == (False, False)
    assert "exactly 4 numbers" in observation
    assert environment.step("[1 2 3 4]")[4]["valid"] is True
    environment.step("[1]")
    observation, _, over, _, info = environment.step("nonsense")
    assert (over, info["valid"], info["success"]) == (True, False, False)
    assert environment.step("[1 2 3 4]")[:3] == ("The episode is over.", 0.0, True)


def test_games_side_by_side_keep_their_own_chance() -> None:
    def deal(*, disturbed: bool) -> list[str]:
        one, other = (create("environment", "textarena", id="Blackjack-v0") for _ in range(2))
        texts = [one.reset(options={"task": "Blackjack-v0/train/3"})[0]]
        for _ in range(4):
            if disturbed:
                other.reset(options={"task": "Blackjack-v0/train/9"})
                other.step("[Hit]")
                random.random()
            texts.append(one.step("[Hit]")[0])
        return texts

    assert deal(disturbed=False) == deal(disturbed=True)
    random.seed(5)
    expected = [random.random(), random.random()]
    random.seed(5)
    numbers = [random.random()]
    with GlobalChance(1).playing():
        random.random()
    assert [*numbers, random.random()] == expected  # what everybody else draws is as if no game had been played


def test_a_game_that_raises_ends_as_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    from textarena.envs.TowerOfHanoi.env import TowerOfHanoiEnv

    environment = create("environment", "textarena", id="TowerOfHanoi-v0")
    task = environment.task("TowerOfHanoi-v0/train/0")
    monkeypatch.setattr(TowerOfHanoiEnv, "step", lambda self, action: {}[action])
    episode = play(environment, task, ["[A C]"])
    assert (episode.ended, episode.success, episode.error) == ("terminated", False, None)
    assert episode.final_observation == "The game broke off on this action: KeyError: '[A C]'."


@pytest.mark.parametrize(
    ("game", "message"),
    [
        ("Wordle-v0", "needs word lists of NLTK that are not on this machine. Fetch them once: python -m nltk.downloader"),
        ("Golf-v0", "supports 2-4 players. It must be a game for one player."),
        ("TwentyQuestions-v0", "OpenRouter API key not found"),
        ("NoGame-v0", "TextArena has no game 'NoGame-v0'"),
    ],
)
def test_games_that_cannot_be_played_here_say_why(game: str, message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENROUTER_API_KEY", raising=False)
    monkeypatch.setattr("nltk.data.path", [])
    environment = create("environment", "textarena", id=game)
    with pytest.raises((EnvError, ConfigError)) as refusal:
        environment.reset(options={"task": f"{game}/train/0"})
    assert message in str(refusal.value)


def test_ten_games_go_through_one_run(tmp_path: Path) -> None:
    assert len(GAMES) >= 10
    names = '["' + '","'.join(GAMES) + '"]'
    result = exprag(
        *("run", "-e", "textarena", "--set", f"id={names}", "--set", "tasks_per_split=1", "--split", "train"),
        *("--model", "case-based", "--max-steps", "3", "--workers", "0", "--out", tmp_path / "run"),
    )
    assert result.exit_code == 0, result.output
    episodes = RunDirectory(tmp_path / "run").episodes()
    assert sorted(episode.task.type for episode in episodes) == sorted(GAMES)
    assert all(episode.error is None and episode.steps for episode in episodes)


def express(**options: Any) -> Any:
    return create("environment", "textworld-express", **options)


@pytest.mark.slow
def test_textworld_express_is_won_by_its_gold_paths() -> None:
    with express() as environment:
        for task in [next(environment.tasks(split, {game})) for split in ("train", "test") for game in environment.games]:
            assert validate(environment, task).score == 1.0


@pytest.mark.slow
def test_a_jvm_that_dies_is_an_error_and_the_next_reset_starts_another() -> None:
    with express(id="coin", params="numLocations=2") as environment:
        task = environment.task("coin/train/0")
        first = environment.reset(options={"task": task})[0]
        os.kill(environment.jvm_pid, signal.SIGKILL)
        with pytest.raises(EnvError, match=r"JVM died .* could not step"):
            environment.step("look around")
        assert environment.reset(options={"task": task})[0] == first
    with express(id="coin", params="bogus=1") as environment, pytest.raises(EnvError, match="Unrecognized property name"):
        environment.reset(options={"task": "coin/train/0"})


def test_options_of_textworld_express_are_checked() -> None:
    for options, message in (
        ({"id": "chess"}, "no game 'chess'"),
        ({"tasks_per_split": 1001}, "1000 seeds"),
        ({"params": "numLocations=2"}, "one game"),
        ({"heap": "lots"}, "not a Java memory size"),
    ):
        with pytest.raises(ConfigError, match=message):
            express(**options)
