"""The agent as a LangGraph state machine, and its nodes for use in other graphs."""

from exprag.graph.build import build_agent
from exprag.graph.nodes import Act, Begin, Finish, Observe, Retrieve
from exprag.graph.state import Context, InputState, State

__all__ = ["Act", "Begin", "Context", "Finish", "InputState", "Observe", "Retrieve", "State", "build_agent"]
