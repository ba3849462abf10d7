"""Several seeds of one task: intervals and tests that take the task as the unit; Holm's correction."""

from __future__ import annotations

from itertools import product
from math import sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from exprag.evaluation.clusters import limits_of_means, sign_test
from exprag.evaluation.statistics import holm, mcnemar

Z95 = 1.959963984540054


@pytest.mark.parametrize(
    ("p_values", "adjusted"),
    [
        # R 4, p.adjust(p, "holm")
        ([0.01, 0.02, 0.03, 0.04, 0.05], [0.05, 0.08, 0.09, 0.09, 0.09]),
        # The worked example of the four hypotheses: at 0.05 the first and the fourth are rejected, the others are not.
        ([0.01, 0.04, 0.03, 0.005], [0.03, 0.06, 0.06, 0.02]),
        ([0.7, 0.6], [1.0, 1.0]),
        ([], []),
    ],
)
def test_holm_gives_the_published_values(p_values: list[float], adjusted: list[float]) -> None:
    assert holm(p_values) == pytest.approx(adjusted)


def test_mcnemar_gives_the_published_value_of_the_approval_ratings() -> None:
    # Agresti, Categorical Data Analysis, table of approval ratings: 150 and 86 changed their minds; exact2x2 gives 3.716e-05.
    assert mcnemar(86, 150) == pytest.approx(3.716e-05, rel=1e-3)


@given(st.integers(0, 12), st.integers(0, 12), st.integers(0, 5))
def test_the_test_by_sign_is_mcnemars_where_each_task_has_one_pair(arm_only: int, baseline_only: int, ties: int) -> None:
    differences = [1] * arm_only + [-1] * baseline_only + [0] * ties
    assert sign_test(differences, range(len(differences))) == pytest.approx(mcnemar(arm_only, baseline_only))


def test_the_test_by_sign_counts_every_sign_of_every_task() -> None:
    differences = [1, 1, 1, 1, 1, 0, 1, 0, 1, 0, -1, 0, 1, 0, -1, 0, 0, 1]
    tasks = [task for task in range(6) for _ in range(3)]
    sums = [sum(differences[3 * task : 3 * task + 3]) for task in range(6)]
    totals = [sum(sign * net for sign, net in zip(signs, sums, strict=True)) for signs in product((1, -1), repeat=6)]
    as_far = sum(abs(total) >= abs(sum(sums)) for total in totals)
    assert sign_test(differences, tasks) == pytest.approx(as_far / 2**6)
    assert sign_test([], []) == sign_test([0, 0], ["a", "b"]) == 1.0


def test_repetitions_of_a_task_make_nobody_more_certain() -> None:
    differences = [1] * 8 + [-1] * 2
    once = sign_test(differences, range(10))
    assert sign_test(differences * 5, list(range(10)) * 5) == pytest.approx(once)
    assert mcnemar(40, 10) < once / 100


def test_the_cluster_bootstrap_has_the_width_that_the_variance_between_clusters_asks_for() -> None:
    """Against the sandwich estimator for the mean of clusters of one size (Cameron, Gelbach & Miller 2008, section 2)."""
    rng = np.random.default_rng(4)
    clusters, size = 300, 5
    values = (rng.normal(size=(clusters, 1)) + 0.3 * rng.normal(size=(clusters, size))).ravel()
    tasks = np.repeat(np.arange(clusters), size).tolist()
    (limits,) = limits_of_means(values[:, None], tasks)
    assert limits is not None
    sums = (values - values.mean()).reshape(clusters, size).sum(axis=1)
    half = Z95 * sqrt((sums**2).sum()) / len(values)
    assert (limits[1] - limits[0]) / 2 == pytest.approx(half, rel=0.05)
    (naive,) = limits_of_means(values[:, None], range(len(values)))
    assert naive is not None
    assert naive[1] - naive[0] < 0.6 * (limits[1] - limits[0])


def test_columns_are_judged_each_by_the_tasks_that_have_a_value() -> None:
    nan = float("nan")
    values = np.array([[1.0, nan, 2.0, nan], [2.0, 5.0, 2.0, nan], [4.0, 7.0, 2.0, nan], [3.0, nan, 2.0, 1.0]])
    limits = limits_of_means(values, ["a", "b", "c", "d"])
    assert limits[0] is not None
    assert limits[1] is not None
    assert 5.0 <= limits[1][0] < limits[1][1] <= 7.0
    assert limits[2:] == [None, None], "the same in every task, and one task alone"
    alone = limits_of_means(values[:, :1], ["a", "b", "c", "d"])
    assert alone[0] == pytest.approx(limits[0]), "the draws are the same, whatever stands beside"
    with pytest.raises(ValueError, match="task names"):
        limits_of_means(values, ["a"])


def test_many_tasks_are_drawn_a_part_at_a_time() -> None:
    values = np.random.default_rng(0).normal(size=(900, 1))
    (limits,) = limits_of_means(values, range(900))
    assert limits is not None
    assert (limits[1] - limits[0]) / 2 == pytest.approx(Z95 * values.std() / 30, rel=0.05)
