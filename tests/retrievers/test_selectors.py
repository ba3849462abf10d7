"""The built-in selectors."""

from __future__ import annotations

from exprag import Task, Trajectory
from exprag.plugins import create
from exprag.retrieval import Candidate, Moment

TASK = Task(environment="house", id="7")


def candidates(count: int) -> list[Candidate]:
    return [Candidate(Trajectory(task=Task(environment="house", id=str(n))), 1.0 / (n + 1)) for n in range(count)]


def test_top_k_keeps_the_nearest_in_order():
    given = candidates(5)
    kept = create("selector", "top_k").select(given, 3, Moment(TASK))
    assert [(c.trajectory, c.score) for c in kept] == [(c.trajectory, c.score) for c in given[:3]]
    assert [c.reason for c in kept] == [f"rank {n} by similarity" for n in (1, 2, 3)]


def test_top_k_with_less_than_k():
    selector = create("selector", "top_k")
    assert len(selector.select(candidates(2), 5, Moment(TASK))) == 2
    assert selector.select([], 5, Moment(TASK)) == []
    assert selector.pool(3) == 3
