"""What an episode takes is measured by boundary, and the calls of plugins' own models are counted as theirs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from exprag.bank import Bank
from exprag.contracts import Selector
from exprag.environments.expert import play_expert
from exprag.environments.sessions import Sessions
from exprag.graph import build_agent
from exprag.metering import Meter, counted, measured, timed
from exprag.retrieval import Retriever
from exprag.runs import RunConfig, RunDirectory, run
from exprag.trajectory import Usage
from scripted import Scripted
from toy import Toy


class Asking(Selector):
    """A selector that asks a chat model of its own which candidates to keep, and keeps the first."""

    name = "asking"

    def __init__(self) -> None:
        self.model = Scripted(turns=["the first"], prompts=[])

    def select(self, pool: Any, k: int, moment: Any) -> Any:
        self.model.invoke("Which of these?")
        return list(pool)[:k]


@pytest.fixture
def bank(tmp_path: Path) -> Bank:
    toy = Toy()
    filled = Bank.create(tmp_path / "bank")
    filled.add([play_expert(toy, task) for task in list(toy.tasks("train"))[:3]])
    return filled


def test_calls_are_counted_by_boundary(bank: Bank) -> None:
    """The agent's calls by the node, those of the selector's own model through its callbacks, neither of them twice."""
    retriever = Retriever(bank, selector=Asking(), k=1)
    agent = build_agent(Sessions(Toy), Scripted(turns=["go to room 1"], prompts=[]), retriever=retriever, max_steps=3)
    task = next(iter(Toy().tasks("test")))
    with measured() as meter:
        trajectory = agent.invoke({"task": task.to_dict()})["trajectory"]
    calls = len(trajectory["steps"])
    figures = meter.to_json()
    assert figures["usage"]["agent"] == {"calls": calls, "prompt": 10 * calls, "completion": 2 * calls, "cached": 0}
    assert figures["usage"]["selector"] == {"calls": 1, "prompt": 10, "completion": 2, "cached": 0}
    assert figures["tokens"] == {"retrieval": 12}
    assert set(figures["seconds"]) == {"environment", "retrieval", "model"}
    assert all(seconds > 0 for seconds in figures["seconds"].values())


def test_without_a_meter_nothing_is_measured() -> None:
    model = Scripted(turns=["x"], prompts=[])
    with counted("selector"), timed("model"):
        model.invoke("?")
    with measured() as meter:
        pass
    model.invoke("?")
    assert meter.to_json() == {"seconds": {}, "usage": {}}


def test_what_a_call_says_is_added_up() -> None:
    meter = Meter()
    meter.add_usage("agent", Usage(prompt=100, completion=5, cached=40))
    meter.add_usage("agent", Usage(prompt=110, completion=6))
    assert meter.to_json()["usage"] == {"agent": {"calls": 2, "prompt": 210, "completion": 11, "cached": 40}}


@pytest.mark.parametrize("workers", [0, 1])
def test_a_run_records_it_in_each_episode(workers: int, bank: Bank, tmp_path: Path) -> None:
    values = {"environment": "toy:Toy", "workers": workers, "limit": 2, "max_steps": 3, "bank": bank.uri, "k": 1}
    summary = run(RunConfig.make(**values), tmp_path / "r")
    episodes = RunDirectory(tmp_path / "r").episodes()
    for episode in episodes:
        extra = episode.provenance.extra
        calls = [step.usage for step in episode.steps]
        assert extra["usage"]["agent"]["calls"] == len(calls)
        assert extra["usage"]["agent"]["prompt"] == sum(call.prompt for call in calls if call)
        assert set(extra["seconds"]) == {"environment", "retrieval", "model"}
        assert 0 < sum(extra["seconds"].values()) < (episode.provenance.seconds or 0)
    assert summary.totals.steps == sum(len(episode.steps) for episode in episodes)
    assert summary.totals.seconds.keys() == {"environment", "retrieval", "model", "episode"}
    assert summary.totals.tokens.prompt == sum(episode.provenance.extra["usage"]["agent"]["prompt"] for episode in episodes)
