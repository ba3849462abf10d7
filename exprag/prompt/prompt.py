"""The prompt: one object writes it, for the graph and for training rows alike; `read_messages` reads it back.

System message: the style's instruction, the environment's global action templates, the memory block, the task, hints, worked
examples. Then the episode: user = observation, assistant = turn. Where the memory block stands is its placement:

    system   before the task and the history (ExpRAG, section 3)
    task     after the task, still in the system message
    tail     in the user message of the step at which it was retrieved, before the observation, where it stays: a later
             retrieval brings another block with what is new. Nothing that was said changes, so a server's prefix cache keeps
             all of it, and one training row holds the whole episode, with dynamic retrieval too
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage

from exprag.bank.exclusion import Exclusion
from exprag.contracts.style import AgentStyle
from exprag.errors import ConfigError
from exprag.memory import MemoryState
from exprag.prompt.block import BLOCK, DOCUMENT_BLOCK, DOCUMENTS, Entry, read_block
from exprag.prompt.hint_block import HINTS, hint_block
from exprag.prompt.history import EARLIER, History
from exprag.text import defuse
from exprag.trajectory import Step, Task, Trajectory

ACTIONS = "Actions have these forms (fill in the braces):"
TASK = "Your task: "
EXAMPLES = "Examples of whole episodes, written as you should write:"
PLACEMENTS = ("system", "task", "tail")

_ACTIONS = re.compile(re.escape(ACTIONS) + r"\n((?:- .*\n?)+)")
_AFTER_TASK = re.compile(r"\n\n(?:" + "|".join(map(re.escape, (HINTS, EXAMPLES, DOCUMENTS))) + ")")


@dataclass(frozen=True)
class Prompt:
    """How the prompts of an agent are written. Equal prompts write equal messages for equal episodes.

    examples   worked episodes, written in the style's own turns; never of the task itself
    history    compresses the earlier turns of a long episode; None: all turns stand as they were
    defuse     how foreign text (instruction, observations, hints, examples) is made inert; see `exprag.models.tokens.defuser`
    """

    style: AgentStyle
    templates: tuple[str, ...] = ()
    placement: str = "system"
    examples: tuple[Trajectory, ...] = ()
    history: History | None = None
    defuse: Callable[[str], str] = defuse

    def __post_init__(self) -> None:
        if self.placement not in PLACEMENTS:
            raise ConfigError(f"The placement of memory is one of {', '.join(PLACEMENTS)}; not {self.placement!r}.")

    def messages(
        self,
        task: Task,
        steps: Sequence[Step],
        observation: str,
        memory: MemoryState | None = None,
        hints: Sequence[str] = (),
    ) -> list[BaseMessage]:
        """The messages that ask for the next turn: system, then user and assistant by turns, the last one user.

        `memory` is what retrieval brought up to this point; `hints` are short rules for the task that stand before those of the
        memory (hint distillation, stage C).
        """
        blocks = memory.blocks if memory is not None else ()
        hints = (*hints, *(hint.text for hint in memory.hints)) if memory is not None else hints
        turns = self.turns(task, steps)
        first, earlier = self.history.compress(steps, turns) if self.history else (0, "")
        user_texts = [self.defuse(text) for text in [*(step.observation for step in steps), observation][first:]]
        if earlier:
            user_texts[0] = f"{self.defuse(earlier)}\n\n{user_texts[0]}"
        if self.placement == "tail":
            for block in reversed(blocks):
                place = max(block.step - first, 0)
                user_texts[place] = f"{block.text}\n\n{user_texts[place]}"
        messages: list[BaseMessage] = [SystemMessage(self._system(task, "\n\n".join(block.text for block in blocks), hints))]
        for text, turn in zip(user_texts[:-1], turns[first:], strict=True):
            messages += [HumanMessage(text), AIMessage(turn)]
        return [*messages, HumanMessage(user_texts[-1])]

    def turns(self, task: Task, steps: Sequence[Step]) -> list[str]:
        """The assistant turns of an episode's steps, in order, as the style writes them of inert text."""
        return self.style.write_episode(task, [self._inert(step) for step in steps])

    def _inert(self, step: Step) -> Step:
        texts = {"action": step.action, "thought": step.thought, "response": step.response}
        changes = {name: clean for name, text in texts.items() if text and (clean := self.defuse(text)) != text}
        return step.model_copy(update=changes) if changes else step

    def _system(self, task: Task, memory: str, hints: Sequence[str]) -> str:
        sections = [self.style.instruction]
        if self.templates:
            sections.append("\n".join([ACTIONS, *(f"- {template}" for template in self.templates)]))
        if memory and self.placement == "system":
            sections.append(memory)
        sections.append(TASK + self.defuse(task.instruction))
        if hints:
            sections.append(hint_block(hints, self.defuse))
        if memory and self.placement == "task":
            sections.append(memory)
        examples = [example for example in self.examples if Exclusion.of(task).allows(example)]
        if examples:
            sections.append("\n\n".join([EXAMPLES, *map(self._example, examples)]))
        return "\n\n".join(sections)

    def _example(self, trajectory: Trajectory) -> str:
        written = self.turns(trajectory.task, trajectory.steps)
        turns = [f"Observation: {step.observation}\n{turn}" for step, turn in zip(trajectory.steps, written, strict=True)]
        return self.defuse("\n".join([f"Task: {trajectory.task.instruction}", *turns]))


@dataclass(frozen=True)
class PromptView:
    """What a model can see in its messages: templates, remembered entries, the task, and the turns so far.

    `turns` are (observation, assistant text) pairs; `observation` is the one to answer. Turns that were compressed are gone.
    """

    templates: tuple[str, ...]
    entries: tuple[Entry, ...]
    instruction: str
    turns: tuple[tuple[str, str], ...]
    observation: str
    hints: tuple[str, ...] = ()


def read_messages(messages: Sequence[BaseMessage]) -> PromptView:
    """What `Prompt.messages` wrote, read from the messages alone."""
    system = "\n\n".join(str(m.text) for m in messages if isinstance(m, SystemMessage))
    entries = read_block(system)
    actions = _ACTIONS.search(system)
    templates = tuple(line[2:] for line in actions[1].splitlines()) if actions else ()
    # the first task line outside the memory block is ours: retrieved text may hold another
    _, _, about = BLOCK.sub("", system).partition("\n\n" + TASK)
    ruled = about.partition("\n\n" + HINTS + "\n")[2].partition("\n\n")[0]
    hints = tuple(line.removeprefix("- ") for line in ruled.splitlines())
    turns: list[tuple[str, str]] = []
    observation = ""
    for message in messages:
        if isinstance(message, AIMessage):
            turns.append((observation, str(message.text)))
            observation = ""
        elif not isinstance(message, SystemMessage):
            observation = str(message.text)
            while block := BLOCK.match(observation) or DOCUMENT_BLOCK.match(observation):
                entries += read_block(block[0])
                observation = observation[block.end() :].lstrip("\n")
            if observation.startswith(EARLIER):
                observation = observation.partition("\n\n")[2]
    return PromptView(templates, tuple(entries), _AFTER_TASK.split(about)[0].rstrip("\n"), tuple(turns), observation, hints)
