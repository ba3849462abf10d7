"""The built-in agent styles."""

from exprag import hookimpl
from exprag.hookspecs import Register


@hookimpl
def register_styles(register: Register) -> None:
    register("act", "exprag_styles.act:Act", description="the assistant turn is the bare action (ExpRAG's)")
    register("react", "exprag_styles.react:ReAct", description="a thought, then the action (ReAct)")
    register(
        "stateact",
        "exprag_styles.stateact:StateAct",
        description="goal, places, inventory and thought, then the action (StateAct)",
    )
