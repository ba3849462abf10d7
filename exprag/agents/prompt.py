"""The prompt: one function writes it, for the graph and for training rows alike; one reads it back.

System message: the style's instruction, the environment's global action templates, the memory block, the task
(memory stands before task and history: ExpRAG, section 3). Then the episode: user = observation, assistant = turn.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage

from exprag.agents.style import AgentStyle
from exprag.memory import Entry, read_block
from exprag.trajectory import Step, Task

ACTIONS = "Actions have these forms (fill in the braces):"
TASK = "Your task: "

_ACTIONS = re.compile(re.escape(ACTIONS) + r"\n((?:- .*\n?)+)")


@dataclass(frozen=True)
class PromptView:
    """What a model can see in its messages: templates, remembered entries, the task, and the turns so far.

    `turns` are (observation, assistant text) pairs; `observation` is the one to answer.
    """

    templates: tuple[str, ...]
    entries: tuple[Entry, ...]
    instruction: str
    turns: tuple[tuple[str, str], ...]
    observation: str


def build_messages(
    style: AgentStyle,
    task: Task,
    templates: Sequence[str],
    steps: Sequence[Step],
    observation: str,
    memory: str = "",
) -> list[BaseMessage]:
    """The messages for the next turn. `memory` is the text of a memory block, or ""."""
    sections = [style.instruction]
    if templates:
        sections.append("\n".join([ACTIONS, *(f"- {template}" for template in templates)]))
    if memory:
        sections.append(memory)
    sections.append(TASK + task.instruction)
    messages: list[BaseMessage] = [SystemMessage("\n\n".join(sections))]
    for step in steps:
        messages += [HumanMessage(step.observation), AIMessage(style.write(step))]
    return [*messages, HumanMessage(observation)]


def read_messages(messages: Sequence[BaseMessage]) -> PromptView:
    """What `build_messages` wrote, read from the messages alone."""
    system = "\n\n".join(str(m.text) for m in messages if isinstance(m, SystemMessage))
    actions = _ACTIONS.search(system)
    templates = tuple(line[2:] for line in actions[1].splitlines()) if actions else ()
    _, _, instruction = system.rpartition("\n\n" + TASK)
    talk = [m for m in messages if not isinstance(m, SystemMessage)]
    turns: list[tuple[str, str]] = []
    observation = ""
    for message in talk:
        if isinstance(message, AIMessage):
            turns.append((observation, str(message.text)))
            observation = ""
        else:
            observation = str(message.text)
    return PromptView(templates, tuple(read_block(system)), instruction, tuple(turns), observation)
