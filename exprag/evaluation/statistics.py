"""The interval of one rate, and paired differences between two arms over the same tasks.

Pure functions of counts and arrays: they know nothing of runs and trajectories. Intervals are 95 % unless `confidence` says
otherwise, and None where the data cannot support one. Deterministic: the bootstrap draws from a fixed seed.

Wilson's interval, McNemar's test and the bootstrap are scipy's, which is imported at first use: it takes as long as all the rest.
Newcombe's interval for paired proportions is ours, because scipy has none.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import sqrt
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

RESAMPLES = 10_000
SEED = 2025
_BATCH = 2_000_000  # numbers drawn at once: bounds the memory of the bootstrap


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
    several tasks. There is no interval for a single task, nor where all tasks have the same mean: a bootstrap of those would
    be a point, which claims a certainty that they do not give.
    """
    import numpy as np

    n = len(differences)
    if tasks is not None and len(tasks) != n:
        raise ValueError(f"{n} differences, but {len(tasks)} task names")
    if n == 0:
        return Difference(0, None, None)
    values = np.asarray(differences, dtype=float)
    task_of_pair = np.asarray(_number(tasks if tasks is not None else range(n)))
    sums, counts = np.bincount(task_of_pair, weights=values), np.bincount(task_of_pair)
    estimate = float(values.mean())
    if len(sums) < 2 or np.ptp(sums / counts) == 0:
        return Difference(n, estimate, None)
    from scipy.stats import bootstrap

    limits = bootstrap(
        (sums, counts),
        _mean_of_tasks,
        paired=True,
        vectorized=True,
        method="percentile",
        confidence_level=confidence,
        n_resamples=RESAMPLES,
        batch=max(1, _BATCH // len(sums)),
        rng=np.random.default_rng(SEED),
    ).confidence_interval
    return Difference(n, estimate, Interval(float(limits.low), float(limits.high)))


def _mean_of_tasks(sums: np.ndarray, counts: np.ndarray, axis: int = -1) -> np.ndarray:
    """The mean over all pairs of the drawn tasks: float [resamples] from [resamples, tasks]."""
    return sums.sum(axis=axis) / counts.sum(axis=axis)


def _number(names: Sequence[Hashable]) -> list[int]:
    """Names as numbers in order of first appearance."""
    numbers: dict[Hashable, int] = {}
    return [numbers.setdefault(name, len(numbers)) for name in names]


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

