"""Static ExpRAG: the bank is asked once, with the task, before the first action (ExpRAG, section 3)."""

from typing import Any

from langgraph.graph.state import CompiledStateGraph

from exprag.graph import build_agent
from exprag.graph.starter import Starter


def make(**settings: Any) -> CompiledStateGraph:
    world = Starter(**settings)
    return build_agent(world.sessions, world.model, bank=world.open_bank, strategy="task", refresh="once", k=2)


graph = make()
