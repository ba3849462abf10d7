"""The state machine: observe → retrieve → act → observe …, until the episode is over and a Trajectory stands in the state.

`build_agent` wires the nodes; each is a plain callable from state to update and can be a node of another graph. The state is
small and JSON-able; environments, models and banks are held by the nodes. No checkpointer is compiled in: with one of the
caller's, a thread resumes after a crash and forks from any step, because environments are restored by replay
(`exprag.environments.sessions`). Nodes are synchronous: LangGraph runs them in threads, so nothing blocks an event loop.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from langchain_core.language_models import BaseChatModel
from langgraph.graph import END, START, StateGraph
from langgraph.graph.state import CompiledStateGraph

from exprag.config import AgentConfig
from exprag.contracts.environment import TextEnvironment
from exprag.contracts.formatter import Formatter
from exprag.contracts.style import AgentStyle
from exprag.environments.sessions import Sessions
from exprag.graph.compose import guarded, recursion_limit, unless_over
from exprag.graph.parts import make_nodes
from exprag.graph.state import Context, InputState, State
from exprag.retrieval import Retriever

if TYPE_CHECKING:
    from exprag.bank import Bank


def build_agent(
    environment: str | Callable[[], TextEnvironment] | Sessions,
    model: str | BaseChatModel = "case-based",
    *,
    bank: Bank | str | Path | Callable[[], Bank] | None = None,
    retriever: Retriever | Callable[[], Retriever] | None = None,
    config: AgentConfig | None = None,
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
    bank         an experience bank or its path; `retriever` instead for full control; neither: the agent without memory.
                 Either may be a function that makes it, called when the first episode asks: a server starts at once
    config       what is chosen about memory and prompt, or its fields as keywords: `k=2, strategy="trajectory", style="react"`;
                 see `exprag.config.AgentConfig`; a style or formatter may also be an object
    """
    nodes = make_nodes(
        environment,
        model,
        bank=bank,
        retriever=retriever,
        config=config,
        style=style,
        formatter=formatter,
        max_steps=max_steps,
        environment_options=environment_options,
        **choices,
    )
    graph = StateGraph(State, context_schema=Context, input_schema=InputState)
    graph.add_node("begin", nodes.begin)  # not guarded: a task that does not exist is the caller's error
    graph.add_node("observe", guarded(nodes.observe))
    graph.add_node("act", guarded(nodes.act))
    graph.add_node("finish", nodes.finish)
    graph.add_edge(START, "begin")
    # Without a pending action, to observe is to reset.
    graph.add_edge("begin", "observe")
    if nodes.retrieve is None:
        # The environment, the step limit or an error ends the episode; else the model is asked.
        graph.add_conditional_edges("observe", unless_over("act"), ["act", "finish"])
    else:
        due = nodes.retrieve.due
        graph.add_node("retrieve", guarded(nodes.retrieve))
        # The same, with memory first. Static memory is asked for once: then the node is passed by.
        on = unless_over(lambda state: "retrieve" if due(state) else "act")
        graph.add_conditional_edges("observe", on, ["retrieve", "act", "finish"])
        # A bank that cannot be asked ends the episode.
        graph.add_conditional_edges("retrieve", unless_over("act"), ["act", "finish"])
    # The action is played next; a model that gave none ends the episode.
    graph.add_conditional_edges("act", unless_over("observe"), ["observe", "finish"])
    # The Trajectory stands in the state.
    graph.add_edge("finish", END)
    # An episode is bounded by its step limit. LangGraph's own limit (25 supersteps in some releases) must lie well above it.
    return graph.compile(name="exprag").with_config(recursion_limit=recursion_limit(max_steps))
