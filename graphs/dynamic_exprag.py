"""Dynamic ExpRAG: before each action the bank is asked with the episode so far (ExpRAG, section 3).

One of the two trajectories stays when the other is replaced (`keep`): what earlier actions relied on is not lost.
"""

from typing import Any

from langgraph.graph.state import CompiledStateGraph

from exprag.graph import build_agent
from exprag.graph.starter import Starter


def make(**settings: Any) -> CompiledStateGraph:
    world = Starter(**settings)
    return build_agent(
        world.sessions,
        world.model,
        bank=world.open_bank,
        strategy="trajectory",
        refresh="every_step",
        k=2,
        carry_over=1,
    )


graph = make()
