"""Hints: short rules that failures taught, fetched once by the type of the task (hint distillation, arXiv 2510.01375, stage C).

EXPRAG_HINTS names a JSON file: task type → list of rules. A node between `begin` and `observe` puts them into the state, where
the prompt finds them; there is no other memory.
"""

import json
import os
from pathlib import Path
from typing import Any

from langgraph.graph import END, START, StateGraph
from langgraph.graph.state import CompiledStateGraph

from exprag.errors import ConfigError
from exprag.graph import Context, InputState, State, guarded, make_nodes, unless_over
from exprag.graph.starter import Starter

K = 3  # more of them hurt


def fetch_hints(state: State) -> dict[str, Any]:
    """The rules for the task's type. Raises ConfigError where the file cannot be read."""
    path = Path(os.environ.get("EXPRAG_HINTS") or Path(__file__).with_name("hints.json"))
    try:
        by_type = json.loads(path.read_text(encoding="utf-8"))
        return {"hints": [str(hint) for hint in by_type.get(state["task"]["type"], ())][:K]}
    except (OSError, ValueError, AttributeError) as error:
        raise ConfigError(f"No hints can be read from {path}: {error}.", cure="It is JSON: task type → rules.") from error


def make(**settings: Any) -> CompiledStateGraph:
    world = Starter(**settings)
    nodes = make_nodes(world.sessions, world.model, style="react")
    graph = StateGraph(State, context_schema=Context, input_schema=InputState)
    graph.add_node("begin", nodes.begin)
    graph.add_node("fetch_hints", guarded(fetch_hints))
    graph.add_node("observe", guarded(nodes.observe))
    graph.add_node("act", guarded(nodes.act))
    graph.add_node("finish", nodes.finish)
    graph.add_edge(START, "begin")
    graph.add_edge("begin", "fetch_hints")  # the task is resolved now: its type is known
    graph.add_conditional_edges("fetch_hints", unless_over("observe"), ["observe", "finish"])
    graph.add_conditional_edges("observe", unless_over("act"), ["act", "finish"])
    graph.add_conditional_edges("act", unless_over("observe"), ["observe", "finish"])
    graph.add_edge("finish", END)
    return graph.compile(name="hints")


graph = make()
