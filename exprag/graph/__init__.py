"""The agent as a LangGraph state machine, and its nodes for use in other graphs."""

from exprag.graph.build import build_agent
from exprag.graph.compose import guarded, unless_over
from exprag.graph.nodes import Act, Begin, Finish, Observe, Retrieve, recall
from exprag.graph.parts import Nodes, make_nodes
from exprag.graph.state import Context, InputState, State

__all__ = [
    "Act",
    "Begin",
    "Context",
    "Finish",
    "InputState",
    "Nodes",
    "Observe",
    "Retrieve",
    "State",
    "build_agent",
    "guarded",
    "make_nodes",
    "recall",
    "unless_over",
]
