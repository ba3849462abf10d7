"""The kit itself: it passes what is right, and names what is wrong."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import pytest

from exprag.errors import EnvError
from exprag.testing import EnvironmentConformance, Result, check_environment
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


@pytest.mark.parametrize(
    ("kind", "check", "said"),
    [
        (Moody, "is deterministic", "other observations"),
        (Moody, "replays", "does not agree"),
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


def test_a_kit_without_make_says_so() -> None:
    with pytest.raises(TypeError, match="make"):
        EnvironmentConformance().make()
    with pytest.raises(EnvError):
        Toy().reset(options={"task": "none"})
