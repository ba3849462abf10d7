"""The text that a bank was asked for is in the record of a run, step by step."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from exprag.bank import Bank
from exprag.contracts.query_strategy import Moment
from exprag.environments.expert import play_expert
from exprag.graph.steps import new_query
from exprag.memory import MemoryState
from exprag.plugins import create
from exprag.runs import RunConfig, RunDirectory, run
from exprag.trajectory import Step, Task, Trajectory
from toy import Toy


@pytest.fixture(scope="module")
def bank(tmp_path_factory: pytest.TempPathFactory) -> Bank:
    toy = Toy()
    bank = Bank.create(tmp_path_factory.mktemp("queries") / "bank", strategies=("task", "trajectory"))
    bank.add([play_expert(toy, task) for task in list(toy.tasks("train"))[:3]])
    return bank


def play(bank: Bank, out: Path, **choices: Any) -> Trajectory:
    about = {"environment": "toy:Toy", "split": "test", "limit": 1, "max_steps": 4, "workers": 0, "k": 1}
    run(RunConfig.make(bank=bank.uri, **about, **choices), out)
    (episode,) = RunDirectory(out).episodes()
    return episode


def test_a_static_query_is_recorded_once(bank: Bank, tmp_path: Path) -> None:
    episode = play(bank, tmp_path / "run", strategy="task")
    query = create("query_strategy", "task").query(Moment(episode.task, (), episode.steps[0].observation))
    assert query
    assert [step.query for step in episode.steps] == [query] + [None] * (len(episode.steps) - 1)


def test_a_dynamic_query_is_recorded_at_each_step(bank: Bank, tmp_path: Path) -> None:
    episode = play(bank, tmp_path / "run", strategy="trajectory")
    strategy = create("query_strategy", "trajectory")
    queries = [strategy.query(Moment(episode.task, episode.steps[:n], s.observation)) for n, s in enumerate(episode.steps)]
    assert len(set(queries)) == len(queries) > 2
    assert [step.query for step in episode.steps] == queries


def test_without_memory_no_query_is_recorded(bank: Bank, tmp_path: Path) -> None:
    about = {"environment": "toy:Toy", "split": "test", "limit": 1, "max_steps": 4, "workers": 0}
    run(RunConfig.make(**about), tmp_path / "run")
    (episode,) = RunDirectory(tmp_path / "run").episodes()
    assert {step.query for step in episode.steps} == {None}


def test_the_middle_of_a_long_query_is_left_out() -> None:
    query = "a" * 1_500 + "b" * 1_500
    recorded = new_query(MemoryState(query=query), [])
    assert recorded == "a" * 1_000 + " … " + "b" * 1_000
    assert new_query(MemoryState(query=query), [{"query": recorded}, {"query": None}, {}]) is None


def test_a_record_from_before_is_read_and_the_id_does_not_depend_on_the_query() -> None:
    task = Task(environment="toy", id="1")
    with_query = Trajectory(task=task, steps=(Step(observation="o", action="a", query="q"),))
    old = with_query.to_dict()
    del old["steps"][0]["query"]
    old["id"] = ""
    assert Trajectory.from_dict(old).id == with_query.id
