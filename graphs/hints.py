"""Hints: short rules from the bank for the type of the task, found once, right after the task (arXiv 2510.01375, stage C).

EXPRAG_BANK names a bank with hints: `exprag distill` writes one, OUT/bank. The bank in the cache folder has none at first: then
the routines of its own successful runs are written into it. There is no other memory.
"""

from typing import Any

from langgraph.graph import END, START, StateGraph
from langgraph.graph.state import CompiledStateGraph

from exprag.bank import Bank
from exprag.bank.items import Items
from exprag.graph import Context, InputState, State, guarded, make_nodes, unless_over
from exprag.graph.starter import Starter
from exprag.plugins import create

K = 3  # more of them hurt


def with_items(bank: Bank) -> Bank:
    """The bank; one without any items gets the routines of its successes."""
    items = Items(bank)
    if not len(items):
        successes = [episode for episode in bank.trajectories() if episode.success]
        items.add(create("distiller", "workflows").distill(successes).items)
    return bank


def make(**settings: Any) -> CompiledStateGraph:
    world = Starter(**settings, copy="hints")
    nodes = make_nodes(world.sessions, world.model, bank=lambda: with_items(world.open_bank()), k=0, hint_k=K, style="react")
    graph = StateGraph(State, context_schema=Context, input_schema=InputState)
    graph.add_node("begin", nodes.begin)
    graph.add_node("observe", guarded(nodes.observe))
    graph.add_node("fetch_hints", guarded(nodes.retrieve))
    graph.add_node("act", guarded(nodes.act))
    graph.add_node("finish", nodes.finish)
    graph.add_edge(START, "begin")
    graph.add_edge("begin", "observe")
    # Hints are found once, at the first observation; then the node is passed by.
    due = nodes.retrieve.due
    on = unless_over(lambda state: "fetch_hints" if due(state) else "act")
    graph.add_conditional_edges("observe", on, ["fetch_hints", "act", "finish"])
    graph.add_conditional_edges("fetch_hints", unless_over("act"), ["act", "finish"])
    graph.add_conditional_edges("act", unless_over("observe"), ["observe", "finish"])
    graph.add_edge("finish", END)
    return graph.compile(name="hints")


graph = make()
