"""The smallest environment that there is, for figures of what lies around environments."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from exprag.contracts.environment import Info, TextEnvironment
from exprag.trajectory import Task


class Trivial(TextEnvironment):
    """`count` tasks in which nothing happens until somebody says "stop"."""

    name = "trivial"
    splits = ("test",)
    action_templates = ("look", "stop")

    def __init__(self, count: int = 1000) -> None:
        self._count = count

    def tasks(self, split: str, types: Collection[str] | None = None) -> Iterator[Task]:
        for number in range(self._count):
            yield Task(environment=self.name, id=f"{split}/{number}", split=split, type="wait", instruction=f"wait for {number}")

    def reset(self, *, seed: int | None = None, options: Mapping[str, Any] | None = None) -> tuple[str, Info]:
        return "You are in a room.", {"task": self.task((options or {})["task"])}

    def step(self, action: str) -> tuple[str, float, bool, bool, Info]:
        return "Nothing happens.", 0.0, action == "stop", False, {"score": 0.0}
