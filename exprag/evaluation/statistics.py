"""The interval of one rate, and paired differences between two arms over the same tasks.

Pure functions of counts and arrays: they know nothing of runs and trajectories. Intervals are 95 % unless `confidence` says
otherwise, and None where the data cannot support one. Deterministic: the bootstrap draws from a fixed seed.

Wilson's interval and McNemar's test are scipy's, which is imported at first use: it takes as long as all the rest. Newcombe's
interval for paired proportions is ours, because scipy has none; so is the bootstrap (`exprag.evaluation.clusters`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import sqrt
from typing import Self

from exprag.evaluation.clusters import limits_of_means


@dataclass(frozen=True)
class Interval:
    """Two limits, in the unit of what was estimated."""

    low: float
    high: float

    @property
    def excludes_zero(self) -> bool:
        return self.low > 0 or self.high < 0


@dataclass(frozen=True)
class Difference:
    """A paired difference (arm − baseline) over `n` pairs; `estimate` is None for n = 0, `interval` where none can be given."""

    n: int
    estimate: float | None
    interval: Interval | None


@dataclass(frozen=True)
class Paired:
    """How the pairs of two arms came out: `arm_only` were solved by the arm alone, `baseline_only` by the baseline alone."""

    both: int = 0
    arm_only: int = 0
    baseline_only: int = 0
    neither: int = 0

    @classmethod
    def of(cls, outcomes: Iterable[tuple[bool, bool]]) -> Self:
        """Of pairs of outcomes: (whether the arm solved it, whether the baseline did)."""
        counts = Counter(outcomes)
        return cls(counts[True, True], counts[True, False], counts[False, True], counts[False, False])

    @property
    def n(self) -> int:
        return self.both + self.arm_only + self.baseline_only + self.neither


@lru_cache(maxsize=4096)
def wilson(successes: int, n: int, confidence: float = 0.95) -> Interval | None:
    """The score interval of one rate, in [0, 1]; None for n = 0 (Wilson 1927; method 3 of Newcombe, Stat. Med. 17:857, 1998)."""
    if not 0 <= successes <= n:
        raise ValueError(f"successes must lie between 0 and n = {n}, not {successes}")
    if n == 0:
        return None
    from scipy.stats import binomtest

    limits = binomtest(successes, n).proportion_ci(confidence, method="wilson")
    return Interval(float(limits.low), float(limits.high))


def paired_rates(table: Paired, confidence: float = 0.95) -> Difference:
    """The difference of two success rates over the same tasks, in [-1, 1].

    The hybrid score interval with the continuity-corrected correlation: method 10 of Newcombe, "Improved confidence
    intervals for the difference between binomial proportions based on paired data", Stat. Med. 17:2635-2650, 1998. Unlike
    Wald's it stays within [-1, 1], and does not shrink to a point where no pair disagrees.
    """
    n = table.n
    if n == 0:
        return Difference(0, None, None)
    arm, baseline = table.both + table.arm_only, table.both + table.baseline_only
    p1, p2 = arm / n, baseline / n
    one, two = wilson(arm, n, confidence), wilson(baseline, n, confidence)
    assert one is not None
    assert two is not None
    phi = _correlation(table)
    estimate = (table.arm_only - table.baseline_only) / n
    below = _hypotenuse(p1 - one.low, two.high - p2, phi)
    above = _hypotenuse(one.high - p1, p2 - two.low, phi)
    return Difference(n, estimate, Interval(max(-1.0, estimate - below), min(1.0, estimate + above)))


def mcnemar(arm_only: int, baseline_only: int) -> float:
    """Exact two-sided p-value of McNemar's test: a fair coin decides each pair that disagrees; 1.0 where none does."""
    from scipy.stats import binomtest

    pairs = arm_only + baseline_only
    return float(binomtest(arm_only, pairs, 0.5).pvalue) if pairs else 1.0


def paired_means(differences: Sequence[float], tasks: Sequence[Hashable] | None = None, confidence: float = 0.95) -> Difference:
    """The mean of paired differences with a percentile bootstrap interval (Efron & Tibshirani 1993, chapter 13).

    `tasks` names the task of each pair: whole tasks are resampled, so that several seeds of one task do not pass for
    several tasks (`exprag.evaluation.clusters`). There is no interval for a single task, nor where all tasks have the same mean.
    """
    import numpy as np

    n = len(differences)
    if n == 0:
        return Difference(0, None, None)
    values = np.asarray(differences, dtype=float)
    (limits,) = limits_of_means(values[:, None], tasks if tasks is not None else range(n), confidence)
    return Difference(n, float(values.mean()), Interval(*limits) if limits else None)


def holm(p_values: Sequence[float]) -> list[float]:
    """The p-values adjusted for their number, in their order (Holm, Scand. J. Stat. 6:65-70, 1979).

    Those at or below 0.05 are rejected together with a probability of at most 0.05 that any of them is rejected wrongly, whatever
    depends on what.
    """
    order = sorted(range(len(p_values)), key=lambda index: p_values[index])
    adjusted, largest = [0.0] * len(p_values), 0.0
    for rank, index in enumerate(order):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = largest
    return adjusted


def _correlation(table: Paired) -> float:
    """Newcombe's phi: the correlation of the two outcomes, its positive part corrected for continuity."""
    a, b, c, d = table.both, table.arm_only, table.baseline_only, table.neither
    scale = (a + b) * (c + d) * (a + c) * (b + d)
    if scale == 0:
        return 0.0
    product = float(a * d - b * c)
    if product > 0:
        product = max(product - table.n / 2, 0.0)
    return product / sqrt(scale)


def _hypotenuse(x: float, y: float, phi: float) -> float:
    return sqrt(max(0.0, x * x - 2 * phi * x * y + y * y))

