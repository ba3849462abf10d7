"""No agent meets its own answer."""

from __future__ import annotations

from exprag import Task, Trajectory
from exprag.bank.exclusion import Exclusion


def trajectory(environment: str, id: str, group: str = "", own_id: str = "") -> Trajectory:
    return Trajectory(id=own_id, task=Task(environment=environment, id=id, group=group))


def test_the_task_its_group_and_the_named_trajectories():
    exclusion = Exclusion.of(Task(environment="house", id="7", group="mug-desk"), ["t1"])
    assert not exclusion.allows(trajectory("house", "7"))
    assert not exclusion.allows(trajectory("house", "8", "mug-desk"))
    assert not exclusion.allows(trajectory("house", "9", own_id="t1"))
    assert exclusion.allows(trajectory("house", "8", "mug-shelf"))
    assert exclusion.allows(trajectory("house", "8"))
    assert exclusion.allows(trajectory("lab", "7", "mug-desk"))


def test_an_empty_group_is_no_group():
    exclusion = Exclusion.of(Task(environment="house", id="7"))
    assert exclusion.groups == frozenset()
    assert exclusion.allows(trajectory("house", "8"))


def test_nothing_excluded_is_no_condition():
    assert Exclusion().to_where() == ""
    assert Exclusion().allows(trajectory("house", "7"))
