"""Goal, place and inventory, read from actions and their answers alone: nothing here knows an environment.

    goal       the task's instruction; where it has none its type, else its id
    place      where the last going action led: "go to fridge 1", "walk into the kitchen", "teleport to hallway". After a compass
               direction ("go north") the title of what is then observed ("-= Pantry =-"), if it has one
    inventory  what was taken ("take", "pick up", "get", "grab", "collect") and not yet given away ("put", "put down", "drop",
               "move", "place", "insert", "throw", "leave", "give")

An action that was not understood (`Step.valid` is False), or whose answer begins as a refusal ("Nothing happens.", "You can't
…"), changes nothing. Names lose their article; `kind` takes off the number too ("fridge 1" → "fridge").
Where an environment speaks otherwise (a web shop has neither places nor things to carry), place and inventory stay empty.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from exprag.contracts.query_strategy import Moment
from exprag.trajectory import Step, Task

_GOING = re.compile(r"(?:go|walk|run|travel|head|navigate|teleport|enter)\b(?: (?:to|into|in|inside))*(?: the)? (?P<name>.+)")
_TAKING = re.compile(r"(?:take|pick up|get|grab|collect)(?: the)? (?P<name>.+?)(?: from .+)?")
_GIVING = re.compile(
    r"(?:put down|put|drop|move|place|insert|throw|leave|give)(?: the)? (?P<name>.+?)"
    r"(?: (?:in|on|to|into|onto|in/on|at|under|inside) .+)?"
)
_DIRECTIONS = {"north", "south", "east", "west", "up", "down", "northeast", "northwest", "southeast", "southwest", "back", "out"}
_TITLE = re.compile(r"-=\s*(.+?)\s*=-")
_SENTENCE = re.compile(r"[^.!?\n]*")
_REFUSAL = re.compile(
    r"\b(?:nothing happens|can(?:no|')?t|cannot|(?:do|does|is|are)(?:n't| not)|not possible|no known|unknown|invalid|unable|"
    r"already)\b",
    re.IGNORECASE,
)
_NUMBER = re.compile(r"\s+\d+$")


@dataclass(frozen=True)
class Situation:
    """Where the agent is ("" if nothing tells) and what it holds, in the order in which it was taken."""

    place: str = ""
    inventory: tuple[str, ...] = ()

    def holds(self) -> str:
        return ", ".join(kind(name) for name in self.inventory)


def goal(task: Task) -> str:
    """What the task is about, in the environment's words."""
    return task.instruction or task.type or task.id


def kind(name: str) -> str:
    """A name without its number."""
    return _NUMBER.sub("", name)


def situation(moment: Moment) -> Situation:
    """How things stand at a moment."""
    last = Situation()
    for last in _walk(moment.steps, moment.observation):  # noqa: B007 - the last one is wanted
        pass
    return last


def situations(steps: Sequence[Step], final_observation: str) -> list[Situation]:
    """How things stood after each step."""
    return list(_walk(steps, final_observation))


def _walk(steps: Sequence[Step], final: str) -> Iterator[Situation]:
    place, inventory = "", list[str]()
    answers = [step.observation for step in steps[1:]] + [final]
    for step, answer in zip(steps, answers, strict=False):
        if step.valid is not False and not _REFUSAL.search(_first_sentence(answer)):
            action = " ".join(step.action.lower().split())
            if going := _GOING.fullmatch(action):
                place = _reached(going["name"], answer)
            elif taking := _TAKING.fullmatch(action):
                if taking["name"] not in inventory:
                    inventory.append(taking["name"])
            elif giving := _GIVING.fullmatch(action):
                name = giving["name"].removesuffix(" in inventory")
                inventory = [thing for thing in inventory if thing != name]
        yield Situation(place, tuple(inventory))


def _reached(name: str, answer: str) -> str:
    if name not in _DIRECTIONS:
        return name
    title = _TITLE.search(answer[:200])
    return title[1].lower() if title else ""


def _first_sentence(text: str) -> str:
    sentence = _SENTENCE.match(text.lstrip(), 0)
    return sentence[0][:200] if sentence else ""
