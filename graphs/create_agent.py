"""An agent of LangChain's `create_agent`, given an experience bank; it plays the environment through a tool.

In Studio's chat mode, say the id of a task. The bank is one middleware. An agent that you have already needs three lines:

    from exprag.integrations.middleware import ExperienceMiddleware, memory_in

    agent = create_agent(model, tools, middleware=[ExperienceMiddleware("bank", k=2)])
"""

from typing import Any

from langchain.agents import create_agent
from langchain.agents.middleware import AgentMiddleware, AgentState, hook_config
from langchain.tools import ToolRuntime, tool
from langchain_core.messages import HumanMessage, ToolMessage
from langgraph.graph.state import CompiledStateGraph
from langgraph.types import Command

from exprag.graph import Context, State, make_nodes
from exprag.graph.starter import Starter
from exprag.integrations.middleware import ExperienceMiddleware, memory_in
from exprag.models import load_model
from exprag.prompt.prompt import ACTIONS, TASK
from exprag.trajectory import Task


class EpisodeState(AgentState[Any], State):
    """The agent's messages, and the episode."""


class Play(AgentMiddleware[Any, Any, Any]):
    """An episode of an environment as a conversation: the task is the first message, a tool plays each action."""

    state_schema = EpisodeState

    def __init__(self, world: Starter) -> None:
        super().__init__()
        nodes = make_nodes(world.sessions)
        self.begin, self.observe, self.finish = nodes.begin, nodes.observe, nodes.finish

        @tool
        def play(action: str, runtime: ToolRuntime[Any, Any]) -> Command[Any]:
            """Play one action; gives what is then observed."""
            state = {**runtime.state, "action": action, "memory": memory_in(runtime.state.get("experience"))}
            update = self.observe(state, runtime)
            text = update["observation"] + ("\n\nThe episode is over." if update["ended"] else "")
            return Command(update={**update, "messages": [ToolMessage(text, tool_call_id=runtime.tool_call_id)]})

        self.tools = [play]

    def before_agent(self, state: Any, runtime: Any) -> dict[str, Any]:
        if not state.get("task"):  # a chat: what the person says names the task
            state = {**state, "task": str(state["messages"][-1].text).strip() if state["messages"] else None}
        episode = self.begin(state)
        episode |= self.observe({**state, **episode, "steps": []}, runtime)  # nothing is pending: a reset
        text = f"{TASK}{episode['task']['instruction']}\n\n{episode['observation']}"
        return {**episode, "messages": [HumanMessage(text, additional_kwargs={"task": episode["task"]})]}

    @hook_config(can_jump_to=["end"])
    def before_model(self, state: Any, runtime: Any) -> dict[str, Any] | None:
        return {"jump_to": "end"} if state["ended"] else None

    def after_agent(self, state: Any, runtime: Any) -> dict[str, Any]:
        return self.finish({**state, "ended": state["ended"] or "gave_up"}, runtime)


def make(**settings: Any) -> CompiledStateGraph:
    world = Starter(**settings)
    templates = "\n".join(f"- {template}" for template in world.sessions.describe.action_templates)
    task = lambda messages: Task.from_dict(messages[0].additional_kwargs["task"])  # noqa: E731 - beside the words of the first
    experience = ExperienceMiddleware(world.open_bank, k=2, task=task)
    return create_agent(
        load_model(world.model),
        system_prompt=f"You act in a text environment, one call of `play` a turn.\n\n{ACTIONS}\n{templates}",
        middleware=[Play(world), experience],
        context_schema=Context,
    )


graph = make()
