"""`case-based` as a model that calls tools: the same baseline for agents that act through one, such as `create_agent`'s."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage, ToolCall
from langchain_core.utils.function_calling import convert_to_openai_tool

from exprag.errors import ConfigError
from exprag.prompt.prompt import TASK


def action_tool(tools: Sequence[Any]) -> tuple[str, str]:
    """The tool that plays an action, and its argument: the first that wants one text. Raises ConfigError without one."""
    for tool in tools:
        function = convert_to_openai_tool(tool)["function"]
        parameters = function["parameters"]
        required = parameters.get("required", [])
        if len(required) == 1 and parameters["properties"][required[0]].get("type") == "string":
            return function["name"], required[0]
    raise ConfigError("The case-based model calls a tool with one text argument, the action; none of these is one.")


def call_for(action: str, tool: tuple[str, str]) -> AIMessage:
    name, argument = tool
    return AIMessage("", tool_calls=[ToolCall(name=name, args={argument: action}, id=uuid.uuid4().hex)])


def as_episode(messages: Sequence[BaseMessage], argument: str) -> list[BaseMessage]:
    """The conversation as `Prompt.messages` would write it: the task in the system message, then observations and actions.

    The first message of a person is the task, its first paragraph, and what is observed.
    """
    turns = [message for message in messages if not isinstance(message, SystemMessage)]
    system = "\n\n".join(str(message.text) for message in messages if isinstance(message, SystemMessage))
    instruction, _, observation = str(turns[0].text).removeprefix(TASK).partition("\n\n")
    episode: list[BaseMessage] = [SystemMessage(f"{system}\n\n{TASK}{instruction}"), HumanMessage(observation)]
    for message in turns[1:]:
        if isinstance(message, AIMessage):
            episode.append(AIMessage(str(message.tool_calls[0]["args"][argument]) if message.tool_calls else str(message.text)))
        else:
            episode.append(HumanMessage(str(message.text)))
    return episode
