"""Which experience helps and which harms: for each recalled trajectory, how often the episodes that read it were won.

An episode counts once for a trajectory, however many steps had it in context. What is expected of those episodes is the success
rate of their task types in the same arm, so that a trajectory of an easy type gets no credit for the type. This is association:
similar trajectories are recalled together, and share what one of them causes.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from exprag.evaluation.metrics import by_type, mean
from exprag.evaluation.statistics import Interval, wilson
from exprag.trajectory import Trajectory

if TYPE_CHECKING:
    from exprag.evaluation.results import RunResult


@dataclass(frozen=True)
class Credit:
    """A trajectory in an arm: of `recalled` episodes that had it in context `won` were solved and `lost` were not.

    `expected` is the rate of their task types in the arm, `interval` the 95 % interval of the rate won / recalled (Wilson's).
    """

    id: str
    arm: str
    recalled: int
    won: int
    lost: int
    expected: float
    interval: Interval

    @property
    def difference(self) -> float:
        """The rate of won episodes above what was expected, in [-1, 1]."""
        return self.won / self.recalled - self.expected

    @property
    def verdict(self) -> str:
        """helps or harms where the interval excludes what was expected, else unclear."""
        return "helps" if self.interval.low > self.expected else "harms" if self.interval.high < self.expected else "unclear"


def credit_of(runs: Sequence[RunResult]) -> list[Credit]:
    """The recalled trajectories of each arm, those first that the most episodes had in context."""
    return [credit for run in runs for credit in _credit(run)]


def _credit(run: RunResult) -> list[Credit]:
    rates = {type_: _rate(group) for type_, group in by_type(run.episodes).items()}
    outcomes: dict[str, Counter[bool]] = defaultdict(Counter)
    expected: dict[str, list[float]] = defaultdict(list)
    for episode in run.episodes:
        for id in {item.id for step in episode.steps for item in step.recalled}:
            outcomes[id][episode.success is True] += 1
            expected[id].append(rates[episode.task.type])
    credits = []
    for id, counts in outcomes.items():
        won, count = counts[True], counts.total()
        interval = wilson(won, count) or Interval(0.0, 1.0)
        credits.append(Credit(id, run.name, count, won, count - won, mean(expected[id]) or 0.0, interval))
    return sorted(credits, key=lambda credit: (-credit.recalled, credit.difference, credit.id))


def _rate(episodes: Sequence[Trajectory]) -> float:
    return sum(episode.success is True for episode in episodes) / len(episodes)
