"""Where an agent is and what it carries, as far as its actions tell: go to, take and put in their usual words."""

from __future__ import annotations

import re

from exprag.trajectory import Step

_GO = re.compile(r"(?:go|walk|travel|teleport|move) (?:in)?to (?:the )?(?P<what>.+)")
_TAKE = re.compile(r"(?:take|pick up|get|grab) (?:the )?(?P<what>.+?)(?: from .+)?")
_PUT = re.compile(r"(?:put down|put|drop|place|insert|move) (?:the )?(?P<what>.+?)(?: (?:in/on|in|on|into|onto|to) .+)?")
_REFUSED = re.compile(r"nothing happens|no known action|you can(?:no|')t|i (?:don't|only) underst", re.IGNORECASE)


class World:
    """Told of each step in order; `visited` in the order of the first visit."""

    def __init__(self) -> None:
        self.place = ""
        self.visited: list[str] = []
        self.carried: list[str] = []

    def after(self, step: Step, observation: str) -> None:
        """`observation` is what the step's action led to."""
        if step.valid is False or _REFUSED.search(observation):
            return
        action = " ".join(step.action.lower().split())
        if went := _GO.fullmatch(action):
            self.place = went["what"]
            if self.place not in self.visited:
                self.visited.append(self.place)
        elif took := _TAKE.fullmatch(action):
            self.carried.append(took["what"])
        elif (put := _PUT.fullmatch(action)) and put["what"] in self.carried:
            self.carried.remove(put["what"])
