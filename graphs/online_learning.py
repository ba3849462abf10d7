"""Online learning: a finished episode enters the bank if it was a success, and the next one can recall it.

The bank that is written to is the one that EXPRAG_BANK names, else a copy of its own in the cache folder.
"""

from typing import Any

from langgraph.graph import END, START, StateGraph
from langgraph.graph.state import CompiledStateGraph

from exprag.graph import Context, InputState, State, guarded, make_nodes, unless_over
from exprag.graph.starter import Starter
from exprag.trajectory import Trajectory


def make(**settings: Any) -> CompiledStateGraph:
    world = Starter(copy="learning", **settings)
    nodes = make_nodes(world.sessions, world.model, bank=world.open_bank)

    def learn(state: State) -> None:
        """The gate: an agent's failures, stored as they are, can do harm (`exprag run --learn` knows more rules)."""
        episode = Trajectory.from_dict(state["trajectory"])
        if episode.success:
            world.open_bank().add([episode])

    graph = StateGraph(State, context_schema=Context, input_schema=InputState)
    graph.add_node("begin", nodes.begin)
    graph.add_node("observe", guarded(nodes.observe))
    graph.add_node("retrieve", guarded(nodes.retrieve))
    graph.add_node("act", guarded(nodes.act))
    graph.add_node("finish", nodes.finish)
    graph.add_node("learn", learn)  # not guarded: a bank that takes nothing is the caller's to know
    graph.add_edge(START, "begin")
    graph.add_edge("begin", "observe")
    graph.add_conditional_edges("observe", unless_over("retrieve"), ["retrieve", "finish"])
    graph.add_conditional_edges("retrieve", unless_over("act"), ["act", "finish"])
    graph.add_conditional_edges("act", unless_over("observe"), ["observe", "finish"])
    graph.add_edge("finish", "learn")  # only now is it known how it ended
    graph.add_edge("learn", END)
    return graph.compile(name="online_learning")


graph = make()
