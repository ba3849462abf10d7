from __future__ import annotations

import re
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("textworld", reason="the textworld extra is not installed: pip install 'exprag[textworld]'")

from exprag.environments.expert import play, play_expert
from exprag.errors import ConfigError, EnvError
from exprag.plugins import create
from exprag_envs.textworld import generate
from exprag_envs.textworld.environment import NOT_UNDERSTOOD, ONE_ACTION, _command

QUEST, COOKING = "quest/train/0", "cooking-easy/test/1"


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("textworld")


@pytest.fixture
def make(cache: Path) -> Callable[[], Any]:
    return lambda: create("environment", "textworld", cache_dir=cache)


def test_tasks_are_listed_without_generating(tmp_path: Path) -> None:
    environment = create("environment", "textworld", cache_dir=tmp_path / "none", games=3)
    tasks = [task for split in environment.splits for task in environment.tasks(split)]
    assert len({task.id for task in tasks}) == len(tasks) == 3 * 3 * len(generate.RECIPES)
    assert [task.type for task in environment.tasks("dev")][: len(generate.RECIPES)] == list(generate.RECIPES)
    assert {task.type for task in environment.tasks("test", ["coin", "quest"])} == {"coin", "quest"}
    seeds = [{task.metadata["seed"] for task in environment.tasks(split)} for split in environment.splits]
    assert not seeds[0] & seeds[1] | seeds[0] & seeds[2] | seeds[1] & seeds[2]
    assert all(environment.task(task.id) == task for task in tasks)
    assert not (tmp_path / "none").exists()


def test_unknown_names_are_refused(make: Callable[[], Any]) -> None:
    environment = make()
    with pytest.raises(ConfigError, match="no split 'valid'"):
        environment.tasks("valid")
    with pytest.raises(ConfigError, match=r"no task type 'cooking'.*'cooking-easy'"):
        environment.tasks("train", ["cooking"])
    for wrong in ("", "coin", "coin/train", "coin/x/1", "x/test/0", *(f"coin/train/{n}" for n in ("100", "-1", "01", "1/2"))):
        with pytest.raises(EnvError, match="has no task"):
            environment.task(wrong)
    with pytest.raises(EnvError, match="needs to know its task"):
        environment.reset()
    with pytest.raises(EnvError, match="not reset"):
        environment.step("look")
    with pytest.raises(ConfigError, match="1 to 1,000,000"):
        create("environment", "textworld", games=0)


@pytest.mark.parametrize("id", [QUEST, COOKING])
def test_the_walkthrough_wins(make: Callable[[], Any], id: str) -> None:
    with make() as environment:
        task = environment.task(id)
        episode = play_expert(environment, task)
        assert (episode.success, episode.score, episode.ended) == (True, 1.0, "terminated")
        assert sum(step.reward for step in episode.steps) == pytest.approx(1.0)
        assert all(step.valid for step in episode.steps)
        assert episode.steps[0].observation.startswith(episode.task.instruction[:20])
        assert "-= " in episode.steps[0].observation
        seen = [step.observation for step in episode.steps] + [episode.final_observation]
        assert all(text == text.strip() and "\n>" not in text and "RESTART" not in text for text in seen)
        assert "*** The End ***" in seen[-1]
        after = environment.step("look")
        assert (after[0], after[2], after[4]["valid"]) == (seen[-1], True, False)
        assert environment.admissible_actions() == []
        again = play(make(), task, episode.actions)
        assert [step.observation for step in again.steps] + [again.final_observation] == seen


@pytest.mark.slow
def test_the_same_game_is_generated_byte_for_byte(cache: Path, tmp_path: Path) -> None:
    one = generate.game_file(cache, "1", "cooking-easy", "test", 1)
    other = generate.game_file(tmp_path, "1", "cooking-easy", "test", 1)
    assert one.read_bytes() == other.read_bytes()
    assert one.with_suffix(".json").read_bytes() == other.with_suffix(".json").read_bytes()
    assert sorted(path.name for path in other.parent.iterdir()) == ["test-1.json", "test-1.z8"], "nothing else is left"


def test_losing_ends_the_game_without_success(make: Callable[[], Any]) -> None:
    with make() as environment:
        task = environment.task(COOKING)
        wanted = next(action for action in play_expert(environment, task).actions if action.startswith("take "))
        food = wanted.removeprefix("take ").partition(" from ")[0]
        episode = play(environment, task, [*(a for a in ("open fridge", wanted)), f"eat {food}"])
        assert (episode.success, episode.ended) == (False, "terminated")
        assert episode.score is not None
        assert 0 < episode.score < 1


def test_the_interpreters_own_commands_are_not_passed_on(
    make: Callable[[], Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # where the interpreter would write
    with make() as environment:
        environment.reset(options={"task": QUEST})
        for action in ("save", "Restart", "quit", "undo", "script", "look. save", "look then restart", "look, q"):
            text, reward, terminated, _, info = environment.step(action)
            assert (text, reward, terminated, info["valid"]) == (NOT_UNDERSTOOD, 0.0, False, False)
        look = environment.step("look")
        assert look[4]["valid"] is True
        assert environment.step("LOOK")[0] == look[0]
        assert environment.step("frobnicate the door")[4]["valid"] is False
        assert environment.step("take moon")[4]["valid"] is False
    assert list(tmp_path.iterdir()) == []


def test_several_moves_in_one_action_are_not_played(make: Callable[[], Any]) -> None:
    """Played as one, "open fridge then look" showed the first text alone, and "take A and B" left what can be done wrong."""
    with make() as environment:
        task = environment.task(COOKING)
        take = next(action for action in play_expert(environment, task).actions if action.startswith("take "))
        environment.reset(options={"task": task})
        look, admissible = environment.step("look")[0], environment.admissible_actions()
        for action in (
            "open fridge then look",
            "open fridge. look",
            "open fridge, look",
            "Open fridge THEN open oven",
            "n.s.n",
            "take all",
            "take everything from counter",
            "take two from counter",
            "take 3 from counter",
            f"{take} and knife",
            "take knife, cookbook",
            "take knife but cookbook",
        ):
            text, reward, terminated, _, info = environment.step(action)
            assert (text, reward, terminated, info["valid"]) == (ONE_ACTION, 0.0, False, False), action
            assert environment.admissible_actions() == admissible
        assert environment.step("look")[0] == look, "nothing was played"
        for action in ("look.", "look. ", "look then", "look,"):  # one move all the same
            assert environment.step(action)[0] == look
        assert environment.step("open fridge.")[4]["valid"] is True
        assert "close fridge" in environment.admissible_actions()
        assert environment.step(f"{take}.")[4]["valid"] is True
        assert take not in environment.admissible_actions()


def test_a_number_in_a_name_is_not_a_number_of_things(make: Callable[[], Any]) -> None:
    with make() as environment:
        environment.reset(options={"task": QUEST})
        environment._names = re.compile(r"\b(?:type 4 chest|salt and pepper)\b")
        assert not environment._is_several("open Type 4 chest")
        assert not environment._is_several("insert salt and pepper into type 4 chest.")
        assert environment._is_several("take salt and pepper and type 4 chest")
        assert environment._is_several("take 4 from type 4 chest")


@pytest.mark.parametrize("action", ["\x00", "look\x00", "\ud800", "öffne", "x" * 5000, "\x1b[0m"])
def test_what_the_interpreter_cannot_read_is_kept_from_it(action: str) -> None:
    assert _command(action) is None


def test_commands_are_one_line() -> None:
    assert _command("  take   key\n from bench ") == "take key from bench"
    assert _command("examine saved letter") == "examine saved letter"


def test_two_threads_play_at_once(make: Callable[[], Any]) -> None:
    won: list[bool | None] = []

    def run(id: str) -> None:
        with make() as environment:
            won.extend(play_expert(environment, environment.task(id)).success for _ in range(3))

    threads = [threading.Thread(target=run, args=(id,)) for id in (QUEST, COOKING)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=120)
    assert won == [True] * 6


def test_what_stops_a_game_is_told(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make: Callable[[], Any]) -> None:
    file = tmp_path / "file"
    file.write_text("")
    with pytest.raises(EnvError, match=r"cache .* cannot be used.*cache_dir"):
        create("environment", "textworld", cache_dir=file).reset(options={"task": QUEST})
    monkeypatch.setattr(generate, "SECONDS", 0.01)
    with pytest.raises(EnvError, match=r"could not generate coin/train/9: .*timed out"):
        generate.game_file(tmp_path, "1", "coin", "train", 9)
    monkeypatch.setattr(generate, "SECONDS", 60.0)
    with pytest.raises(EnvError, match="could not generate coin/train/-1: ValueError"):
        generate.game_file(tmp_path, "1", "coin", "train", -1)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [file], "no half game is left"


@pytest.mark.slow
@pytest.mark.parametrize("type_", list(generate.RECIPES))
def test_every_type_is_won_in_every_split(make: Callable[[], Any], type_: str) -> None:
    with make() as environment:
        for split in environment.splits:
            task = next(environment.tasks(split, [type_]))
            episode = play_expert(environment, task, max_steps=environment.max_steps(task))
            assert episode.success, task.id
            assert episode.task.instruction
