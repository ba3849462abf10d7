"""An action as a form: which of its values the task names, which are the same in every run, and which are any."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache

from exprag.contracts.templates import SLOT, fill, match
from exprag.errors import ExpragError
from exprag.plugins import create_registered
from exprag.trajectory import Trajectory

LONGEST = 120
"""Characters of a hint (arXiv 2510.01375, stage B)."""
EXPLORING = {"go", "goto", "walk", "enter", "travel", "navigate", "open", "close", "look", "examine", "inventory", "wait", "help"}
"""First words of actions that only find things: where things are differs from task to task."""
ALWAYS = 0.9  # share of the runs in which a value stands at its place, from which it belongs to the form
_FEW = 3  # runs below which nothing is known to be always so
_NUMBER = re.compile(r"\s+\d+$")
_WORD = re.compile(r"[a-z0-9'-]+")

Values = Counter[tuple[str, int, str]]


@lru_cache(maxsize=64)
def templates_of(environment: str) -> tuple[str, ...]:
    """The forms of an action in an environment; none where it is not installed."""
    try:
        return tuple(create_registered("environment", environment).action_templates)
    except ExpragError:
        return ()


def kind_of(name: str) -> str:
    """A name without the number that tells its instance: "mug" of "mug 2"."""
    return _NUMBER.sub("", name.strip())


def words(text: str) -> list[str]:
    return _WORD.findall(text.lower())


def is_named(value: str, instruction: str) -> bool:
    """Whether the task names a value: all of it, or three words of a longer text, as of a title."""
    parts, names = words(kind_of(value)), words(instruction)
    if f" {' '.join(parts)} " in f" {' '.join(names)} ":
        return bool(parts)
    return len(parts) > 2 and len(set(parts) & set(names)) > 2


def usual_values(runs: Sequence[Trajectory]) -> tuple[Values, int]:
    """Under how many instructions a value stands at its place of its form: (form, slot, kind) → instructions; and how many
    instructions the runs have."""
    counts: Values = Counter()
    by_instruction = {run.task.instruction: run for run in runs}
    for run in by_instruction.values():
        places = set()
        for action in run.actions:
            if fit := match(action, templates_of(run.task.environment)):
                places |= {(fit[0], number, kind_of(value).lower()) for number, value in enumerate(fit[1])}
        counts.update(places)
    return counts, len(by_instruction)


def form_of(action: str, run: Trajectory, usual: tuple[Values, int]) -> str:
    """The form of an action: {object} is one that the task names, {any object} another; what nearly every run has at this place
    stands in words. "" where the action fits no form."""
    fit = match(action, templates_of(run.task.environment))
    if fit is None:
        return ""
    counts, total = usual
    values = []
    for number, (slot, value) in enumerate(zip(SLOT.findall(fit[0]), fit[1], strict=True)):
        kind = kind_of(value)
        if total >= _FEW and counts[fit[0], number, kind.lower()] >= ALWAYS * total:
            values.append(kind.lower())
        else:
            values.append(f"{{{slot}}}" if is_named(value, run.task.instruction) else f"{{any {slot}}}")
    return fill(fit[0], values)


def explores(action: str) -> bool:
    """Whether an action only finds things."""
    return action.lower().split()[:1] != [] and action.lower().split()[0] in EXPLORING
