"""Guess a number from 1 to 8: the smallest complete environment plugin."""

import random

from exprag import Task, hookimpl
from exprag.environment import TextEnvironment, make_fingerprint
from exprag.errors import ConfigError

VERSION = "1"


@hookimpl
def register_environments(register):
    register("guess", "exprag_guess:GuessNumber", description="find a number between 1 and 8")


class GuessNumber(TextEnvironment):
    name = "guess"
    splits = ("train", "test")
    action_templates = ("guess {number}",)
    experts = ("bisect",)

    def tasks(self, split, types=None):
        if split not in self.splits:
            raise ConfigError(f"There is no split {split!r}.", cure="It is train or test.")
        for number in range(20):
            yield Task(environment="guess", id=f"{split}/{number}", split=split, type="guess", instruction="Find the number.")

    def reset(self, *, seed=None, options=None):
        task = self.task(options["task"])
        self._secret = random.Random(task.id).randint(1, 8)
        self._low, self._high = 1, 8
        return "I think of a number from 1 to 8.", {"task": task, "score": 0.0}

    def step(self, action):
        word = action.removeprefix("guess ").strip()
        if word not in ["1", "2", "3", "4", "5", "6", "7", "8"]:
            return "Say: guess NUMBER.", 0.0, False, False, {"score": 0.0, "success": False, "valid": False}
        number, won = int(word), int(word) == self._secret
        if number < self._secret:
            self._low = number + 1
        elif number > self._secret:
            self._high = number - 1
        text = "Right!" if won else "Higher." if number < self._secret else "Lower."
        return text, float(won), won, False, {"score": float(won), "success": won, "valid": True}

    def expert(self, name=None):
        while True:
            yield f"guess {(self._low + self._high) // 2}"

    def fingerprint(self):
        return make_fingerprint(self.name, VERSION, self.action_templates)
