"""Intervals and tests against published values, and against what they claim by brute force."""

from __future__ import annotations

from itertools import product
from math import lgamma, log, sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from exprag.evaluation.statistics import Interval, Paired, mcnemar, paired_means, paired_rates, wilson

Z95 = 1.959963984540054


# Table I of Newcombe, Two-sided confidence intervals for the single proportion, Stat. Med. 17:857-872, 1998 (method 3).
@pytest.mark.parametrize(
    ("successes", "n", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_wilson_gives_the_published_limits(successes: int, n: int, low: float, high: float) -> None:
    interval = wilson(successes, n)
    assert interval is not None
    assert (round(interval.low, 4), round(interval.high, 4)) == (low, high)


@given(n=st.integers(1, 400), data=st.data())
def test_wilson_limits_are_where_the_score_test_turns(n: int, data: st.DataObject) -> None:
    successes = data.draw(st.integers(0, n))
    interval = wilson(successes, n)
    assert interval is not None
    assert 0 <= interval.low <= successes / n <= interval.high <= 1
    for limit in (interval.low, interval.high):
        if 0 < limit < 1:
            assert abs(successes / n - limit) / sqrt(limit * (1 - limit) / n) == pytest.approx(Z95, rel=1e-6)


def test_wilson_of_nothing() -> None:
    assert wilson(0, 0) is None
    with pytest.raises(ValueError, match="successes"):
        wilson(3, 2)


@pytest.mark.parametrize(
    ("table", "low", "high"),
    [
        # Newcombe, Stat. Med. 17:2635-2650, 1998, method 10.
        (Paired(36, 12, 2, 0), 0.0569, 0.3404),
        # Fagerland, Lydersen, Laake, Statistical Analysis of Contingency Tables, 2017, chapter 8: Bentur 2009, Cavo 2012.
        (Paired(1, 1, 7, 12), -0.507, -0.026),
        (Paired(59, 6, 16, 80), -0.1186, -0.0046),
    ],
)
def test_paired_rates_gives_the_published_limits(table: Paired, low: float, high: float) -> None:
    interval = paired_rates(table).interval
    assert interval is not None
    digits = len(str(low).split(".")[1])
    assert (round(interval.low, digits), round(interval.high, digits)) == (low, high)


def tables(n: int) -> list[Paired]:
    return [Paired(a, b, c, n - a - b - c) for a in range(n + 1) for b in range(n + 1 - a) for c in range(n + 1 - a - b)]


# The probabilities of both, arm only, baseline only, neither: no effect, large effect, rare events, strong correlation.
@pytest.mark.parametrize(
    "truth",
    [(0.25, 0.25, 0.25, 0.25), (0.3, 0.4, 0.05, 0.25), (0.02, 0.1, 0.03, 0.85), (0.45, 0.06, 0.02, 0.47), (0.1, 0.7, 0.1, 0.1)],
)
def test_paired_rates_covers_the_truth_as_often_as_it_says(truth: tuple[float, ...]) -> None:
    """Exact coverage: the probability of every possible table of 24 pairs, summed where its interval holds the truth."""
    n, covered = 24, 0.0
    for table in tables(n):
        cells = (table.both, table.arm_only, table.baseline_only, table.neither)
        logs = sum(count * log(p) - lgamma(count + 1) for count, p in zip(cells, truth, strict=True))
        interval = paired_rates(table).interval
        assert interval is not None
        if interval.low <= truth[1] - truth[2] <= interval.high:
            covered += np.exp(lgamma(n + 1) + logs)
    assert 0.93 < covered < 0.999


def test_paired_rates_of_every_small_table() -> None:
    for table in (table for n in range(1, 9) for table in tables(n)):
        result = paired_rates(table)
        mirrored = paired_rates(Paired(table.both, table.baseline_only, table.arm_only, table.neither))
        assert result.interval is not None
        assert mirrored.interval is not None
        assert -1 <= result.interval.low <= result.estimate <= result.interval.high <= 1
        assert result.interval.high - result.interval.low > 0.2, "a handful of pairs is never certain"
        assert (mirrored.interval.low, mirrored.interval.high) == pytest.approx((-result.interval.high, -result.interval.low))


def test_paired_rates_of_no_pair() -> None:
    result = paired_rates(Paired())
    assert (result.n, result.estimate, result.interval) == (0, None, None)


@pytest.mark.parametrize("arm_only", range(7))
@pytest.mark.parametrize("baseline_only", range(5))
def test_mcnemar_counts_the_coins(arm_only: int, baseline_only: int) -> None:
    n = arm_only + baseline_only
    gap = abs(arm_only - baseline_only)
    as_far = sum(abs(2 * sum(coins) - n) >= gap for coins in product((0, 1), repeat=n))
    assert mcnemar(arm_only, baseline_only) == pytest.approx(as_far / 2**n)


def test_mcnemar_gives_the_published_value_and_bears_large_counts() -> None:
    assert mcnemar(1, 7) == pytest.approx(0.0703, abs=5e-5)  # Fagerland, Lydersen, Laake 2017, chapter 8
    assert mcnemar(0, 0) == 1.0
    assert 0 <= mcnemar(2_000, 1_500) < 1e-10


def test_paired_means_agrees_with_the_normal_interval_for_many_tasks() -> None:
    values = np.random.default_rng(3).normal(2, 5, size=600)
    result = paired_means(list(values))
    assert result.estimate == pytest.approx(values.mean())
    assert result.interval is not None
    half = Z95 * values.std() / sqrt(len(values))
    assert (result.interval.high - result.interval.low) / 2 == pytest.approx(half, rel=0.04)


def test_paired_means_covers_the_truth() -> None:
    rng = np.random.default_rng(11)
    covered = 0
    for _ in range(200):
        interval = paired_means(list(rng.exponential(1.0, size=40) - 1.0)).interval
        assert interval is not None
        covered += interval.low <= 0 <= interval.high
    assert 0.88 <= covered / 200 <= 0.985  # skewed data and 40 tasks: a percentile bootstrap is a little short of 0.95


def test_paired_means_resamples_tasks_and_not_repetitions() -> None:
    values = list(np.random.default_rng(5).normal(size=30))
    once = paired_means(values)
    repeated = paired_means(values * 4, tasks=list(range(30)) * 4)
    taken_for_tasks = paired_means(values * 4)
    assert once.interval is not None
    assert repeated.interval is not None
    assert taken_for_tasks.interval is not None
    assert repeated.estimate == pytest.approx(once.estimate)
    assert repeated.interval.high == pytest.approx(once.interval.high)
    assert taken_for_tasks.interval.high - taken_for_tasks.interval.low < 0.6 * (once.interval.high - once.interval.low)


def test_paired_means_is_the_same_each_time_and_bears_the_degenerate() -> None:
    assert paired_means([1.0, 2.0, 4.0]) == paired_means([1.0, 2.0, 4.0])
    assert (paired_means([]).n, paired_means([]).estimate, paired_means([]).interval) == (0, None, None)
    assert (paired_means([3.0]).estimate, paired_means([3.0]).interval) == (3.0, None)
    assert (paired_means([1.5] * 5).estimate, paired_means([1.5] * 5).interval) == (1.5, None)
    assert paired_means([1.0, 2.0, 3.0], tasks=["a", "a", "a"]).interval is None
    with pytest.raises(ValueError, match="task names"):
        paired_means([1.0], tasks=["a", "b"])


def test_an_interval_knows_whether_zero_is_outside() -> None:
    assert Interval(0.01, 0.2).excludes_zero
    assert Interval(-0.2, -0.01).excludes_zero
    assert not Interval(0.0, 0.2).excludes_zero
    assert not Interval(-0.1, 0.2).excludes_zero


def test_paired_means_has_no_interval_where_every_task_has_the_same_mean() -> None:
    result = paired_means([1.0, 3.0, 2.0], tasks=["a", "a", "b"])
    assert (result.estimate, result.interval) == (2.0, None)
