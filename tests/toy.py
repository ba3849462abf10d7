"""A small deterministic environment for tests: carry a thing from where it lies to where it belongs.

It is a real TextEnvironment, only tiny. Options make it misbehave on purpose: `die_at` raises EnvError at that step,
`crash_at` kills the process, `slow` sleeps in every step unless TOY_HURRY is set.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from exprag.contracts.environment import Info, TextEnvironment
from exprag.errors import ConfigError, EnvError
from exprag.trajectory import Task

THINGS = ("mug", "book", "apple", "key")
PLACES = ("desk", "shelf", "drawer", "box")


class Toy(TextEnvironment):
    name = "toy"
    splits = ("train", "test")
    action_templates = ("go to {place}", "take {thing}", "drop {thing}", "look")
    experts = ("walk",)

    def __init__(self, size: int = 8, die_at: int = -1, crash_at: int = -1, crash_once: str = "", slow: float = 0.0) -> None:
        self._size, self._die_at, self._crash_at, self._slow = size, die_at, crash_at, slow
        self._crash_once = crash_once  # a file: crash only while it exists, and remove it
        self._task: Task | None = None
        self.resets = self.steps_played = 0

    def tasks(self, split: str, types: Collection[str] | None = None) -> Iterator[Task]:
        if split not in self.splits:
            raise ConfigError(f"No split {split!r}.")
        for number in range(self._size):
            type_ = "carry" if number % 2 else "fetch"
            if types is None or type_ in types:
                thing = THINGS[number % 4]
                place = PLACES[(number + number // 4 + (split == "test")) % 4]
                yield Task(
                    environment="toy",
                    id=f"{split}/{number}",
                    split=split,
                    type=type_,
                    instruction=f"put the {thing} in the {place}",
                    metadata={"thing": thing, "place": place},
                )

    def reset(self, *, seed: int | None = None, options: Mapping[str, Any] | None = None) -> tuple[str, Info]:
        self._task = self.task((options or {})["task"])
        rng = random.Random(f"{self._task.id} {seed}")
        self._lies = {thing: rng.choice(PLACES) for thing in THINGS}
        goal = self._task.metadata
        while self._lies[goal["thing"]] == goal["place"]:
            self._lies[goal["thing"]] = rng.choice(PLACES)
        self._here, self._hand, self._count = "door", None, 0
        self.resets += 1
        return f"You stand at the door. Places: {', '.join(PLACES)}.", {"task": self._task, "score": 0.0}

    def step(self, action: str) -> tuple[str, float, bool, bool, Info]:
        assert self._task is not None
        if self._slow and "TOY_HURRY" not in os.environ:
            time.sleep(self._slow)
        if self._count == self._die_at:
            raise EnvError("The toy died.")
        if self._count == self._crash_at and (not self._crash_once or Path(self._crash_once).exists()):
            if self._crash_once:
                Path(self._crash_once).unlink()
            os._exit(9)
        self._count += 1
        self.steps_played += 1
        verb, _, rest = action.partition(" ")
        text, valid = "Nothing happens.", True
        if action.startswith("go to ") and rest[3:] in PLACES:
            self._here = rest[3:]
            text = self._look()
        elif verb == "take" and self._hand is None and self._lies.get(rest) == self._here:
            self._hand, self._lies[rest] = rest, ""
            text = f"You take the {rest}."
        elif verb == "drop" and self._hand == rest and self._here in PLACES:
            self._hand, self._lies[rest] = None, self._here
            text = f"You drop the {rest} in the {self._here}."
        elif action == "look":
            text = self._look()
        else:
            valid = False
        goal = self._task.metadata
        won = self._lies[goal["thing"]] == goal["place"]
        score = 1.0 if won else 0.5 if self._hand == goal["thing"] else 0.0
        return text, float(won), won, False, {"score": score, "success": won, "valid": valid}

    def _look(self) -> str:
        things = [thing for thing, place in self._lies.items() if place == self._here]
        return f"At the {self._here} you see {', '.join(things) or 'nothing'}."

    def expert(self, name: str | None = None) -> Iterator[str]:
        assert self._task is not None
        goal = self._task.metadata
        yield f"go to {self._lies[goal['thing']]}"
        yield f"take {goal['thing']}"
        yield f"go to {goal['place']}"
        yield f"drop {goal['thing']}"

    def max_steps(self, task: Task) -> int:
        return 12
