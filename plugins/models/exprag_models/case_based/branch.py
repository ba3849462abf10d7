"""Which of the instruction's alternatives holds: "If it is above 50, … the red box. If it is below 50, … the green box."

Numbers decide where the conditions name them. Otherwise what is seen now is compared with what was seen when the recalled
episode chose: the same sight, the same choice; another sight, the other choice.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from exprag_models.case_based.analogy import Analogy
from exprag_models.case_based.text import lines, mentions, plain

_IF = re.compile(r"\bif ([^.,]*(?:\.\d[^.,]*)*), ([^.]*(?:\.\d[^.]*)*)", re.IGNORECASE)
_BOUND = re.compile(r"\b(above|over|more than|greater than|below|under|less than)\s+(-?\d+(?:\.\d+)?)", re.IGNORECASE)
_NUMBER = re.compile(r"(?<![\w.])-?\d+(?:\.\d+)?(?![\w])")
_MORE = ("above", "over", "more than", "greater than")


@dataclass(frozen=True)
class Alternative:
    condition: str
    consequence: str

    def holds(self, reading: float) -> bool | None:
        """Whether a reading fulfils the condition; None if the condition is not about a number."""
        hit = _BOUND.search(self.condition)
        if not hit:
            return None
        return (reading > float(hit[2])) == (hit[1].lower() in _MORE)


def alternatives(instruction: str) -> list[Alternative]:
    """The conditional clauses of an instruction, if there are at least two."""
    clauses = [Alternative(*parts) for parts in _IF.findall(instruction)]
    return clauses if len(clauses) > 1 else []


def reading(text: str) -> float | None:
    """The last number in a text."""
    numbers = _NUMBER.findall(text)
    return float(numbers[-1]) if numbers else None


def alternative_of(options: list[Alternative], name: str) -> int | None:
    """Which alternative alone speaks of a name."""
    about = [i for i, option in enumerate(options) if mentions(option.consequence, name)]
    return about[0] if len(about) == 1 else None


def same_sight(then: str, now: str, names: list[str], analogy: Analogy) -> bool:
    """Whether the state in which the named things (as they were named then) are shown is the same now as then."""
    lines_now = {plain(line) for line in lines(now)}
    for name in names:
        line_then = next((line for line in lines(then) if mentions(line, name)), "")
        state = plain(line_then).partition(plain(name))[2].split()
        in_sight = any(mentions(line, analogy.carry(name)) for line in lines_now)
        if len(state) > 1 and in_sight and plain(analogy.carry(line_then)) not in lines_now:
            return False
    return True


def other(options: list[Alternative], mine: int, value: str, choice: int) -> str:
    """A value of one alternative in the words of another."""
    swap = Analogy(options[mine].consequence, options[choice].consequence)
    return swap.carry(value)
