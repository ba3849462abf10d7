"""Graphs of the user's own, named on the command line: what is wrong with one is told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from exprag.bank import Bank
from exprag.errors import ConfigError, EnvError
from exprag.graph.load import load_graph
from exprag.runs import RunConfig, run

FILE = """
from langgraph.graph import END, START, StateGraph
from exprag.graph import State, build_agent
from exprag.runs import RunConfig
import toy

def make(environment="toy:Toy", bank=None, **others):
    return build_agent(environment, bank=bank)

graph = make()
number = 3

def without(state): return {}
def bug(state): return 1 / 0
def wait(state):
    from langgraph.types import interrupt
    interrupt("?")

def one(node):
    made = StateGraph(State)
    made.add_node("node", node)
    made.add_edge(START, "node")
    made.add_edge("node", END)
    return made

ends_early, breaks, waits = one(without), one(bug), one(wait)
"""


@pytest.fixture
def file(tmp_path: Path) -> str:
    path = tmp_path / "mine.py"
    path.write_text(FILE)
    return str(path)


def play(tmp_path: Path, graph: str, **values: Any) -> list[Any]:
    from exprag.runs import RunDirectory

    run(RunConfig.make(environment="toy:Toy", graph=graph, limit=2, workers=0, **values), tmp_path / "run")
    return RunDirectory(tmp_path / "run").episodes()


def test_a_graph_a_function_and_an_uncompiled_graph_are_taken(file: str, tmp_path: Path) -> None:
    assert load_graph(f"{file}:graph").name == "exprag"
    assert load_graph(f"{file}:ends_early").nodes
    bank = Bank.create(tmp_path / "bank")
    episodes = play(tmp_path, f"{file}:make", bank=str(tmp_path / "bank"), max_steps=2)
    assert [(len(e.steps), e.ended, e.provenance.bank_version) for e in episodes] == [(2, "truncated", bank.version)] * 2


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("{}", "is named"),
        ("nowhere.py:graph", "There is no file"),
        ("no.module.here:graph", "cannot be imported"),
        ("{}:grahp", "Graphs in it: graph, ends_early"),
        ("{}:number", "not a graph"),
    ],
)
def test_what_is_no_graph_is_named(file: str, name: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load_graph(name.format(file))


def test_a_file_that_does_not_load_says_why(tmp_path: Path) -> None:
    (tmp_path / "bad.py").write_text("import nothing_of_this_name")
    with pytest.raises(ConfigError, match="ModuleNotFoundError"):
        load_graph(f"{tmp_path}/bad.py:graph")


def test_a_setting_without_effect_is_refused(file: str, tmp_path: Path) -> None:
    for values, about in (({"model": "openai:x"}, "model"), ({"k": 4}, "config")):
        with pytest.raises(ConfigError, match=f"{about} would have no effect"):
            play(tmp_path, f"{file}:graph", **values)


def test_a_graph_that_does_not_keep_to_its_part_stops_the_run(file: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="without a `trajectory`"):
        play(tmp_path, f"{file}:ends_early")
    with pytest.raises(ConfigError, match="waits for a person"):
        play(tmp_path, f"{file}:waits")
    with pytest.raises(EnvError, match="belongs to environment 'toy'"):
        play(tmp_path, f"{Path(__file__).parents[2] / 'graphs' / 'hints'}.py:graph")


def test_a_node_with_a_bug_is_data(file: str, tmp_path: Path) -> None:
    episodes = play(tmp_path, f"{file}:breaks")
    assert [(e.ended, e.error.boundary) for e in episodes] == [("error", "graph")] * 2
    assert "ZeroDivisionError" in episodes[0].error.message
    assert "'node'" in episodes[0].error.message
