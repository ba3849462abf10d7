"""ReAct with experience: the model thinks before it acts, and reads how it went before (ReAct, arXiv 2210.03629).

With `style_options={"structured": True}` a model that offers structured output is asked for it.
"""

from typing import Any

from langgraph.graph.state import CompiledStateGraph

from exprag.graph import build_agent
from exprag.graph.starter import Starter


def make(**settings: Any) -> CompiledStateGraph:
    world = Starter(**settings)
    return build_agent(world.sessions, world.model, bank=world.open_bank, style="react", k=2)


graph = make()
