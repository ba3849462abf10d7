"""Two levels: a planner retrieves a plan for where the episode stands, a worker (a graph of its own) acts on it for a while.

The plan is what was done in the recalled episode that is most like this one. After `SHIFT` actions the planner looks again.
"""

from typing import Any

from langgraph.graph import END, START, StateGraph
from langgraph.graph.state import CompiledStateGraph
from langgraph.runtime import Runtime
from langgraph.types import Overwrite

from exprag.bank import Filter
from exprag.graph import Context, InputState, State, guarded, make_nodes, unless_over
from exprag.graph.starter import Starter

SHIFT = 10


class PlanState(State, total=False):
    plan: list[str]
    """The actions of the episode that serves as a plan."""


def make(**settings: Any) -> CompiledStateGraph:
    world = Starter(**settings)
    nodes = make_nodes(world.sessions, world.model, bank=world.open_bank, strategy="trajectory", refresh="every_step", k=1)

    worker = StateGraph(State, context_schema=Context)
    worker.add_node("act", guarded(nodes.act))
    worker.add_node("observe", guarded(nodes.observe))
    worker.add_edge(START, "act")
    worker.add_conditional_edges("act", unless_over("observe", over=END), ["observe", END])
    shift = unless_over(lambda state: END if len(state["steps"]) % SHIFT == 0 else "act", over=END)
    worker.add_conditional_edges("observe", shift, ["act", END])
    work_a_shift = worker.compile(name="worker")

    def plan(state: PlanState, runtime: Runtime[Context]) -> dict[str, Any]:
        """Recall for this moment, and take the actions of the first of them as the plan."""
        update = nodes.retrieve(state, runtime)
        ids = tuple(item["id"] for item in (update.get("memory") or {}).get("recalled", ()))
        trajectories = list(world.open_bank().trajectories(Filter(ids=ids))) if ids else []
        actions = list(trajectories[0].actions) if trajectories else []
        hints = [f'What was done for "{trajectories[0].task.instruction}": {"; ".join(actions)}'] if actions else []
        return {**update, "plan": actions, "hints": hints}

    def work(state: PlanState, runtime: Runtime[Context]) -> dict[str, Any]:
        after = work_a_shift.invoke(state, context=runtime.context)
        return {**after, "steps": Overwrite(after["steps"])}  # all of them: they are not to be appended to our own

    graph = StateGraph(PlanState, context_schema=Context, input_schema=InputState)
    graph.add_node("begin", nodes.begin)
    graph.add_node("observe", guarded(nodes.observe))
    graph.add_node("plan", guarded(plan))
    graph.add_node("work", guarded(work))
    graph.add_node("finish", nodes.finish)
    graph.add_edge(START, "begin")
    graph.add_edge("begin", "observe")
    graph.add_conditional_edges("observe", unless_over("plan"), ["plan", "finish"])
    graph.add_conditional_edges("plan", unless_over("work"), ["work", "finish"])
    graph.add_conditional_edges("work", unless_over("plan"), ["plan", "finish"])
    graph.add_edge("finish", END)
    return graph.compile(name="hierarchical")


graph = make()
