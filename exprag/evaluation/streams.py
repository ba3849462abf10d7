"""What a growing memory is worth over a stream of tasks, always paired with an agent without memory on the same visits.

* The learning curve: success over the course, in stretches of visits.
* Transfer: success where a type is met for the first time, with a memory of earlier types and nothing yet of its own.
* Change on revisits: success when a task comes again less success at its first visit, less the same of the agent without memory.
  Below zero it is forgetting.

Pure functions of visits and their outcomes. Intervals are 95 %; a task with several visits counts as one cluster.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any

from exprag.evaluation.contrasts import success_difference
from exprag.evaluation.measures import Measure
from exprag.evaluation.render import percent, points
from exprag.evaluation.statistics import Difference, Paired, paired_means, paired_rates, wilson

STRETCHES = 10
"""Stretches of a learning curve, at most."""
ARMS = ("memory", "none")
_SHORTEST = 4  # visits of a stretch, unless the whole stream has fewer
HEAD = ("tasks", "visits", "with memory", "without", "points", "first met (transfer)", "on revisits (< 0: forgetting)")


@dataclass(frozen=True)
class Visit:
    """A task as it comes in a stream: `again`, where it came before. Visits of one round read the same memory, which has what
    earlier rounds of its `chapter` left. `memory` and `none`: whether the agent with memory solved it, and the one without."""

    task: str
    type: str
    again: bool = False
    round: int = 0
    chapter: int = 0
    memory: bool = False
    none: bool = False


@dataclass(frozen=True)
class Stretch:
    """A part of the course: the visits `first` to `last`, counted from 1. The intervals of the rates take visits one by one."""

    first: int
    last: int
    memory: Measure
    none: Measure
    difference: Difference


@dataclass(frozen=True)
class Part:
    """What came out for some of the tasks: all, or those of a type. Differences are with memory less without."""

    name: str
    memory: Measure
    none: Measure
    difference: Difference
    transfer: Difference
    """At the first visits of a type of which the memory has nothing yet, while it has something of other types."""
    revisits: Difference
    """Change from first visit to revisit, less that of the agent without memory; over tasks that came again."""
    revisits_memory: Difference
    """The change of the agent with memory alone."""
    revisits_none: Difference
    """The change of the agent without memory alone."""

    def row(self) -> list[str]:
        """Its row of the table, in words."""
        rates = [percent(self.memory.mean), percent(self.none.mean)]
        return [self.name, str(self.memory.n), *rates, *map(points, (self.difference, self.transfer, self.revisits))]


@dataclass(frozen=True)
class StreamOutcome:
    """The whole course, and the parts: all tasks first, then the types in the order in which they came."""

    curve: tuple[Stretch, ...]
    parts: tuple[Part, ...]
    visits: tuple[Visit, ...] = ()

    def rows(self) -> list[list[str]]:
        """The table, its head first; differences in percentage points."""
        return [list(HEAD), *(part.row() for part in self.parts)]

    def to_dict(self) -> dict[str, Any]:
        """Plain data, as STREAM/report.json has it."""
        return asdict(self)


def judge(visits: Sequence[Visit]) -> StreamOutcome:
    """The outcome of a stream, its visits in the order in which they came."""
    types = dict.fromkeys(visit.type for visit in visits)
    parts = [_part("all", visits, visits), *(_part(type_, [v for v in visits if v.type == type_], visits) for type_ in types)]
    return StreamOutcome(learning_curve(visits), tuple(parts), tuple(visits))


def learning_curve(visits: Sequence[Visit], stretches: int = STRETCHES) -> tuple[Stretch, ...]:
    """The course in stretches of equal length, give or take a visit."""
    count = max(1, min(stretches, len(visits) // _SHORTEST))
    edges = [round(number * len(visits) / count) for number in range(count + 1)]
    return tuple(
        Stretch(start + 1, end, *_rates(visits[start:end]), difference(visits[start:end]))
        for start, end in pairwise(edges)
        if end > start
    )


def difference(visits: Sequence[Visit]) -> Difference:
    """Success with memory less success without, over the same visits."""
    return success_difference([(visit.memory, visit.none) for visit in visits], [visit.task for visit in visits])


def first_met(visits: Sequence[Visit]) -> list[Visit]:
    """The visits at which a type is met with a memory that has something of other types and nothing of its own."""
    begins: dict[tuple[int, str | None], int] = {}
    for visit in visits:
        for type_ in (visit.type, None):  # None: any type
            begins.setdefault((visit.chapter, type_), visit.round)
    return [visit for visit in visits if begins[visit.chapter, None] < visit.round == begins[visit.chapter, visit.type]]


def revisits(visits: Sequence[Visit]) -> tuple[Difference, Difference, Difference]:
    """The change from the first visit to the latest: with memory less without, with memory, and without."""
    first = {visit.task: visit for visit in reversed(visits) if not visit.again}
    last = {visit.task: visit for visit in visits if visit.again}
    pairs = [(last[task], first[task]) for task in last if task in first]
    changes = [(now.memory - then.memory) - (now.none - then.none) for now, then in pairs]
    if not any(now.none != then.none for now, then in pairs):  # without memory nothing changed: two rates over the same tasks
        net = paired_rates(Paired.of((now.memory, then.memory) for now, then in pairs))
    else:
        net = paired_means(changes)
    memory, none = (paired_rates(Paired.of((getattr(now, arm), getattr(then, arm)) for now, then in pairs)) for arm in ARMS)
    return net, memory, none


def _part(name: str, own: Sequence[Visit], visits: Sequence[Visit]) -> Part:
    met = [visit for visit in first_met(visits) if name == "all" or visit.type == name]
    return Part(name, *_rates(own), difference(own), difference(met), *revisits(own))


def _rates(visits: Sequence[Visit]) -> tuple[Measure, Measure]:
    return _rate([visit.memory for visit in visits]), _rate([visit.none for visit in visits])


def _rate(outcomes: Sequence[bool]) -> Measure:
    n, solved = len(outcomes), sum(outcomes)
    return Measure(n, solved / n if n else None, wilson(solved, n))
