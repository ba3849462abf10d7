"""A person is asked before each action, and answers accept, edit or skip.

    {"type": "accept"}                             play it
    {"type": "edit", "action": "go to desk 1"}     play this instead
    {"type": "skip"}                               play nothing: the model is told, and asked again

It needs a checkpointer (Studio and the server bring one): `graph.invoke(Command(resume={"type": "accept"}), config)`. Where the
context names a run of many episodes nobody is there to answer, and nobody is asked.
"""

from typing import Any

from langgraph.graph import END, START, StateGraph
from langgraph.graph.state import CompiledStateGraph
from langgraph.runtime import Runtime
from langgraph.types import interrupt

from exprag.graph import Context, InputState, State, guarded, make_nodes, unless_over
from exprag.graph.starter import Starter


def approve(state: State, runtime: Runtime[Context]) -> dict[str, Any]:
    """Ask; what is not an answer is asked again."""
    if runtime.context and runtime.context.run:
        return {}
    proposal = state["action"]
    question = {"observation": state["observation"], "action": proposal["action"], "thought": proposal["thought"]}
    while True:
        match interrupt(question):
            case {"type": "accept"} | "accept":
                return {}
            case {"type": "edit", "action": str(action)}:
                return {"action": {"action": action, "note": f"a person chose this in place of: {proposal['action']}"}}
            case {"type": "skip"} | "skip":
                note = f"A person does not want this action, choose another: {proposal['action']}"
                return {"action": None, "hints": [*(state.get("hints") or []), note]}
            case answer:
                problem = f"{answer!r} is not an answer: give a type: accept, edit (with action) or skip."
                question = {**question, "problem": problem}


def make(**settings: Any) -> CompiledStateGraph:
    world = Starter(**settings)
    nodes = make_nodes(world.sessions, world.model, bank=world.open_bank)
    graph = StateGraph(State, context_schema=Context, input_schema=InputState)
    graph.add_node("begin", nodes.begin)
    graph.add_node("observe", guarded(nodes.observe))
    graph.add_node("retrieve", guarded(nodes.retrieve))
    graph.add_node("act", guarded(nodes.act))
    graph.add_node("approve", guarded(approve))
    graph.add_node("finish", nodes.finish)
    graph.add_edge(START, "begin")
    graph.add_edge("begin", "observe")
    graph.add_conditional_edges("observe", unless_over("retrieve"), ["retrieve", "finish"])
    graph.add_conditional_edges("retrieve", unless_over("act"), ["act", "finish"])
    graph.add_conditional_edges("act", unless_over("approve"), ["approve", "finish"])
    # Without an action there is nothing to play: `observe` would reset.
    onward = unless_over(lambda state: "observe" if state.get("action") else "act")
    graph.add_conditional_edges("approve", onward, ["observe", "act", "finish"])
    graph.add_edge("finish", END)
    return graph.compile(name="human_in_the_loop")


graph = make()
