"""The kit itself: it passes what is right, and names what is wrong."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from typing import Any

import pytest

from exprag.errors import ConfigError, EnvError
from exprag.testing import EnvironmentConformance, Result, check_environment, check_split
from exprag.testing.elsewhere import differs_elsewhere
from exprag.trajectory import Task
from toy import Toy


class TestToy(EnvironmentConformance):
    def make(self) -> Toy:
        return Toy()


class Moody(Toy):
    def step(self, action: str) -> tuple[str, float, bool, bool, dict[str, Any]]:
        text, *rest = super().step(action)
        return (f"{text} {random.random()}", *rest)  # type: ignore[return-value]


class Fragile(Toy):
    def step(self, action: str) -> tuple[str, float, bool, bool, dict[str, Any]]:
        if not action.strip():
            raise ValueError("say something")
        return super().step(action)


class Careless(Toy):
    def tasks(self, split: str, types: Any = None) -> Iterator[Task]:
        for task in super().tasks("train", types):
            yield task.model_copy(update={"id": "same"})


class Boastful(Toy):
    def step(self, action: str) -> tuple[str, float, bool, bool, dict[str, Any]]:
        text, reward, terminated, truncated, info = super().step(action)
        return text, reward, terminated, truncated, {**info, "score": 100.0}


class Losing(Toy):
    def expert(self, name: str | None = None) -> Iterator[str]:
        yield "look"


class Unsteady(Toy):
    def fingerprint(self) -> str:
        return f"toy@{random.random()}"


class Misspelt(Toy):
    action_templates = ("walk to {place}", "grab {thing}", "let go of {thing}")


class Spaced(Toy):
    action_templates = ("go to {desk or shelf}", "take {thing}", "drop {thing}", "look")


class Mumbling(Toy):
    def expert(self, name: str | None = None) -> Iterator[str]:
        yield "mumble"
        yield from super().expert(name)


class Stumbling(Toy):
    """Its expert slips once in thirty actions."""

    def expert(self, name: str | None = None) -> Iterator[str]:
        yield from ["look"] * 29
        if self._task is not None and self._task.id == "train/0":
            yield "mumble"
        yield from super().expert(name)


class Drifting(Toy):
    """Each object tells of the place in its own way, after a long beginning that they share."""

    objects = 0

    def __init__(self) -> None:
        super().__init__()
        Drifting.objects += 1
        self._number = Drifting.objects

    def _look(self) -> str:
        return f"{'A long corridor. ' * 20}{super()._look()} Door {self._number} is open."


class Unled(Drifting):
    """Drifts only where something is understood, and has no expert to show it."""

    experts = ()

    def admissible_actions(self) -> list[str] | None:
        return ["look", "go to desk"]


class Endless(Toy):
    def step(self, action: str) -> tuple[str, float, bool, bool, dict[str, Any]]:
        text, _, *rest = super().step(action)
        return (text, float("nan"), *rest)  # type: ignore[return-value]


class Silent(Toy):
    def step(self, action: str) -> tuple[str, float, bool, bool, dict[str, Any]]:
        *rest, info = super().step(action)
        return (*rest, {"success": info["success"]})  # type: ignore[return-value]


class Unlimited(Toy):
    def max_steps(self, task: Task) -> int:
        return 0


class Clipped(Toy):
    def admissible_actions(self) -> list[str] | None:
        return "look"  # type: ignore[return-value]


@pytest.mark.filterwarnings("ignore:.*NaN")  # Gymnasium says so too
@pytest.mark.parametrize(
    ("kind", "check", "said"),
    [
        (Moody, "is deterministic", "other observations"),
        (Moody, "is deterministic", "observation 1, from character"),
        (Moody, "replays", "does not agree"),
        (Drifting, "is deterministic", "in another object: observation 1, from character"),
        (Drifting, "replays", "now it is …"),
        (Unled, "is deterministic", "in another object: observation 1, from character"),
        (Misspelt, "templates cover the actions", "0 of "),
        (Misspelt, "templates cover the actions", "These fit none: 'go to "),
        (Spaced, "describes itself", "a slot of the template 'go to {desk or shelf}' is not one word"),
        (Mumbling, "expert wins", "plays actions that its environment does not understand (4 of 20"),
        (Mumbling, "expert wins", "'mumble'"),
        (Endless, "keeps the shapes", "finite number, not nan"),
        (Endless, "is deterministic", "broke off after 0 steps"),
        (Silent, "keeps the shapes", 'info["score"] must be there'),
        (Unlimited, "keeps the shapes", "whole number from 1 on"),
        (Clipped, "admissible actions are understood", "a list of strings or None, not 'look'"),
        (Fragile, "survives bad actions", "raised ValueError"),
        (Careless, "lists tasks", "not unique"),
        (Careless, "refuses unknown names", "unknown split"),
        (Boastful, "keeps the shapes", "[-1, 1]"),
        (Losing, "expert wins", "won 0 of"),
        (Unsteady, "fingerprint is stable", "different fingerprints"),
    ],
)
def test_each_fault_is_named(kind: type[Toy], check: str, said: str) -> None:
    results: dict[str, Result] = {result.name: result for result in check_environment(kind)}
    assert results[check].passed is False
    assert said in results[check].detail


def test_an_expert_may_slip_now_and_then() -> None:
    results = {result.name: result for result in check_environment(Stumbling)}
    assert results["expert wins"].passed is True
    assert results["expert wins"].detail == "walk won 4 of 4, not understood: 'mumble'"


def test_two_texts_that_part_late_are_shown_where_they_part() -> None:
    detail = {result.name: result for result in check_environment(Drifting)}["is deterministic"].detail
    assert "A long corridor" not in detail
    one, other = detail.partition("it was ")[2].split(", now it is ")
    assert "is open" in one
    assert "is open" in other
    assert one != other


def test_the_expert_plays_a_whole_split() -> None:
    results = list(check_split(Toy, "train"))
    assert [(result.name, result.passed) for result in results] == [(f"toy:train/{number}", True) for number in range(8)]
    assert results[0].detail == "won in 4 steps"
    assert [result.name for result in check_split(Toy, "test", types=["carry"])] == [f"toy:test/{n}" for n in (1, 3, 5, 7)]


class Uneven(Toy):
    """Task 1 is lost, task 2 breaks, task 3 takes a long time and a word that is not understood."""

    def expert(self, name: str | None = None) -> Iterator[str]:
        number = self._task.id[-1] if self._task is not None else ""
        if number == "2":
            raise RuntimeError("no idea")
        if number == "3":
            yield from ["mumble"] + ["look"] * 12
        if number != "1":
            yield from super().expert(name)


def test_a_lost_task_stops_no_other() -> None:
    results = list(check_split(lambda: Uneven(size=5), "train"))
    assert [result.passed for result in results] == [True, False, False, True, True]
    assert results[1].detail == "not won: gave_up after 0 steps with score 0"
    broken = "broke off after 0 steps: The environment 'toy' broke in its expert: RuntimeError: no idea."
    assert results[2].detail.startswith(broken)
    assert results[3].detail == "won in 17 steps, beyond the limit of 12; not understood: 'mumble'"
    with pytest.raises(ConfigError, match="No split 'nowhere'"):
        list(check_split(Toy, "nowhere"))
    assert all("has no expert 'fly'" in result.detail for result in check_split(Toy, "train", expert="fly"))


def fewer_elsewhere(plugin: Any, episodes: Any) -> list[str]:
    """One answer where the hash seed is "1", else two: another process has another seed."""
    return ["same"] * (1 if os.environ.get("PYTHONHASHSEED") == "1" else 2)


def test_another_number_of_answers_in_another_process_is_a_difference() -> None:
    assert differs_elsewhere(Toy, [], fewer_elsewhere) == 1


def test_a_kit_without_make_says_so() -> None:
    with pytest.raises(TypeError, match="make"):
        EnvironmentConformance().make()
    with pytest.raises(EnvError):
        Toy().reset(options={"task": "none"})
