"""StateAct: the model says its goal, where it was and is, and what it carries, then thinks and acts (arXiv 2510.01375).

EXPRAG_EXAMPLES names a JSONL file of trajectories: they stand in the prompt as worked examples, in the style's own turns.
"""

import os
from typing import Any

from langgraph.graph.state import CompiledStateGraph

from exprag.graph import build_agent
from exprag.graph.starter import Starter


def make(**settings: Any) -> CompiledStateGraph:
    world = Starter(**settings)
    examples = os.environ.get("EXPRAG_EXAMPLES", "")
    return build_agent(world.sessions, world.model, bank=world.open_bank, style="stateact", examples=examples, k=2)


graph = make()
