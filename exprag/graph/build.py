"""The state machine: observe → retrieve → act → observe …, until the episode is over and a Trajectory stands in the state.

`build_agent` composes the nodes below; each is a plain callable from state to update and can be a node of another graph.
The state is small and JSON-able; environments, models and banks are held by the nodes. No checkpointer is compiled in:
with one of the caller's, a thread resumes after a crash and forks from any step, because environments are restored by
replay (`exprag.sessions`). Nodes are synchronous: LangGraph runs them in threads, so nothing blocks an event loop.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from langchain_core.language_models import BaseChatModel
from langgraph.graph import END, START, StateGraph
from langgraph.graph.state import CompiledStateGraph
from langgraph.runtime import Runtime

from exprag.agents import AgentStyle
from exprag.arm import Arm
from exprag.environment import TextEnvironment
from exprag.errors import ConfigError, ExpragError
from exprag.formatter import Formatter
from exprag.graph.nodes import Act, Begin, Finish, Observe, Retrieve, Update
from exprag.graph.state import Context, InputState, State
from exprag.models import load_model, token_counter
from exprag.plugins import create
from exprag.retrieval import Retriever
from exprag.sessions import Sessions

if TYPE_CHECKING:
    from exprag.bank import Bank


def build_agent(
    environment: str | Callable[[], TextEnvironment] | Sessions,
    model: str | BaseChatModel = "recall",
    *,
    bank: Bank | str | Path | None = None,
    retriever: Retriever | None = None,
    arm: Arm | None = None,
    style: str | AgentStyle | None = None,
    formatter: str | Formatter | None = None,
    max_steps: int | None = None,
    environment_options: Mapping[str, Any] | None = None,
    **choices: Any,
) -> CompiledStateGraph[State, Context, InputState, State]:
    """The agent as a compiled graph: `agent.invoke({"task": id})["trajectory"]`.

    environment  name of an environment plugin, a factory of TextEnvironment (one is made per concurrent episode), or
                 Sessions of the caller's
    model        a chat model or its spec, see `exprag.models.load_model`
    bank         an experience bank or its path; `retriever` instead for full control; neither: the agent without memory
    arm          what is chosen about memory and prompt, or its fields as keywords: `k=2, strategy="trajectory", style="react"`;
                 see `exprag.arm.Arm`; a style or formatter may also be an object
    """
    if isinstance(style, str):
        choices["style"] = style
    if isinstance(formatter, str):
        choices["formatter"] = formatter
    if arm is not None and choices:
        raise ConfigError("Give an arm or its fields, not both.", cure="Arm.model_copy(update={…}) changes a field.")
    arm = arm or Arm.make(**choices)
    if isinstance(environment, str):
        environment = partial(create, "environment", environment, **(environment_options or {}))
    sessions = environment if isinstance(environment, Sessions) else Sessions(environment)
    opened = None
    if bank is not None:
        from exprag.bank import Bank

        opened = bank if isinstance(bank, Bank) else Bank.open(bank)
    if retriever is None and opened is not None:
        retriever = arm.make_retriever(opened)
    name = model if isinstance(model, str) else getattr(model, "model_name", None) or type(model).__name__
    chat = load_model(model)
    count_tokens = token_counter(chat)
    prompt = arm.make_prompt(sessions.describe, opened, count_tokens)
    if isinstance(style, AgentStyle):
        prompt = replace(prompt, style=style)
    written = formatter if isinstance(formatter, Formatter) else arm.make_formatter()

    graph = StateGraph(State, context_schema=Context, input_schema=InputState)
    graph.add_node("begin", Begin(sessions.describe))
    graph.add_node("observe", _recorded(Observe(sessions, max_steps)))
    graph.add_node("act", _recorded(Act(chat, prompt)))
    graph.add_node("finish", Finish(sessions, name))
    graph.add_edge(START, "begin")
    graph.add_edge("begin", "observe")
    # The environment, the step limit or an error ends the episode. Static memory is asked for once: then the node is passed by.
    if retriever is None:
        graph.add_conditional_edges("observe", _unless_over("act"), ["act", "finish"])
    else:
        retrieve = Retrieve(retriever, written, arm.memory_options(), count_tokens)
        graph.add_node("retrieve", _recorded(retrieve))
        asks = _unless_over(lambda state: "retrieve" if retrieve.due(state) else "act")
        graph.add_conditional_edges("observe", asks, ["retrieve", "act", "finish"])
        graph.add_conditional_edges("retrieve", _unless_over("act"), ["act", "finish"])  # a failed retrieval ends it
    graph.add_conditional_edges("act", _unless_over("observe"), ["observe", "finish"])  # a model without an answer ends it
    graph.add_edge("finish", END)
    return graph.compile(name="exprag")


def _unless_over(then: str | Callable[[State], str]) -> Callable[[State], str]:
    def route(state: State) -> str:
        if state.get("ended"):
            return "finish"
        return then if isinstance(then, str) else then(state)

    return route


def _recorded(node: Callable[..., Update]) -> Any:
    """A node whose ExpragError ends the episode as data instead of raising."""
    takes_runtime = "runtime" in node.__call__.__annotations__  # type: ignore[operator]

    def run(state: State, runtime: Runtime[Context]) -> Update:
        try:
            return node(state, runtime) if takes_runtime else node(state)
        except ExpragError as error:
            return {"ended": "error", "error": {"boundary": error.boundary, "message": str(error)}}

    return run
