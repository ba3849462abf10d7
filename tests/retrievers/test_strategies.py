"""The built-in query strategies: key and query match, and say when they refresh."""

from __future__ import annotations

import pytest

from exprag import Step, Task, Trajectory
from exprag.errors import ConfigError
from exprag.plugins import create
from exprag.retrieval import Moment, QueryStrategy

STEPS = tuple(Step(observation=f"room {n}", action=f"go {n}") for n in range(4))


def task(**about: str) -> Task:
    return Task(environment="house", id="7", **about)


def test_task_is_static_and_asks_with_the_key():
    strategy = create("query_strategy", "task")
    for about in ({"instruction": "put a mug away", "type": "put"}, {"type": "put"}, {}):
        key = strategy.key(Trajectory(task=task(**about), steps=STEPS))
        assert key == strategy.query(Moment(task(**about), STEPS[:2], "room 2"))
        assert key == about.get("instruction", about.get("type", "7"))
    assert strategy.refresh == "once"


def test_trajectory_is_dynamic_and_its_query_grows_into_the_key():
    strategy = create("query_strategy", "trajectory")
    whole = Trajectory(task=task(instruction="put a mug away"), steps=STEPS, final_observation="Done.")
    assert strategy.refresh == "every_step"
    assert strategy.key(whole) == strategy.query(Moment(whole.task, STEPS, "Done."))
    partial = strategy.query(Moment(whole.task, STEPS[:2], STEPS[2].observation))
    assert strategy.key(whole).startswith(partial)
    assert "go 1" in partial
    assert "go 2" not in partial


def test_the_query_can_be_limited_to_the_last_steps():
    strategy = create("query_strategy", "trajectory", last=1)
    query = strategy.query(Moment(task(instruction="put a mug away"), STEPS[:3], "here"))
    assert query == "put a mug away\nroom 2\n> go 2\nhere"
    with pytest.raises(ConfigError, match="It takes: last"):
        create("query_strategy", "trajectory", first=1)


@pytest.mark.parametrize("name", ["task", "trajectory"])
def test_an_empty_episode_has_a_key(name):
    strategy = create("query_strategy", name)
    assert isinstance(strategy, QueryStrategy)
    assert strategy.key(Trajectory(task=task()))
    assert strategy.query(Moment(task()))
