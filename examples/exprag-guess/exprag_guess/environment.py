"""Find a number between 1 and 8: a small complete environment. Replace the game, keep the contract."""

import random
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from exprag.authoring import ConfigError, Info, Task, TextEnvironment, make_fingerprint

VERSION = "1"  # of the game's rules and texts: another one says that stored episodes may not replay
NUMBERS = tuple(str(number) for number in range(1, 9))


class GuessEnvironment(TextEnvironment):
    name = "guess"
    splits = ("train", "test")
    action_templates = ("guess {number}",)
    experts = ("bisect",)

    def tasks(self, split: str, types: Collection[str] | None = None) -> Iterator[Task]:
        if split not in self.splits:
            raise ConfigError(f"There is no split {split!r}.", cure="It is train or test.")
        if types is not None and not set(types) <= {"guess"}:
            raise ConfigError(f"There are no types {', '.join(types)}.", cure="The only one is guess.")
        for number in range(20):
            id = f"{split}/{number}"
            yield Task(environment=self.name, id=id, split=split, type="guess", instruction="Find the number.")

    def reset(self, *, seed: int | None = None, options: Mapping[str, Any] | None = None) -> tuple[str, Info]:
        task = self.task((options or {})["task"])
        self._secret = random.Random(task.id).randint(1, 8)
        self._low, self._high = 1, 8
        return "I think of a number from 1 to 8.", {"task": task, "score": 0.0}

    def step(self, action: str) -> tuple[str, float, bool, bool, Info]:
        word = action.removeprefix("guess ").strip()
        if word not in NUMBERS:
            return "Say: guess NUMBER.", 0.0, False, False, {"score": 0.0, "success": False, "valid": False}
        number = int(word)
        won = number == self._secret
        if number < self._secret:
            self._low = number + 1
        elif number > self._secret:
            self._high = number - 1
        text = "Right!" if won else "Higher." if number < self._secret else "Lower."
        return text, float(won), won, False, {"score": float(won), "success": won, "valid": True}

    def expert(self, name: str | None = None) -> Iterator[str]:
        while True:
            yield f"guess {(self._low + self._high) // 2}"

    def fingerprint(self) -> str:
        return make_fingerprint(self.name, VERSION, self.action_templates)
