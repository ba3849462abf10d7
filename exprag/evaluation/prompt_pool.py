"""Prompts in little space, without loss: what the page has of an episode already is not written again, and no text twice.

A prompt of step t is a system message, then for each earlier step its observation and its turn, then the observation of t. What
is written down is where a prompt differs from that, from the step on at which it does:

    system   [step, texts]    the system message, as numbers of texts of the pool that make it up; null: it is not known
    first    [step, number]   the first turn that stands in the prompt, the earlier ones are compressed
    users    [step, k, texts] the message of observation k, where it is not the observation; null: it is again
    turns    {k: texts}       the assistant's turn k, where it is neither the response nor the action

`viewer/prompt.js` reads it back.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from langchain_core.messages import BaseMessage

from exprag.contracts.style import AgentStyle
from exprag.evaluation.prompts import PromptWriter
from exprag.memory import MemoryState
from exprag.trajectory import Trajectory

_ENTRY = re.compile(r"<experience.*?</experience>", re.DOTALL)
Encoded = dict[str, Any]


class Pool:
    """Texts, each once. Long ones are cut where a memory block can be, so that blocks share what they have in common."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self._numbers: dict[str, int] = {}

    def put(self, text: str) -> list[int]:
        """The numbers of the texts that make this one up."""
        parts, end = [], 0
        for entry in _ENTRY.finditer(text) if "<experience" in text else ():
            parts += [text[end : entry.start()], entry[0]]
            end = entry.end()
        return [self._number(part) for part in [*parts, text[end:]] if part]

    def _number(self, part: str) -> int:
        if part not in self._numbers:
            self._numbers[part] = len(self.texts)
            self.texts.append(part)
        return self._numbers[part]


def encode(writer: PromptWriter, trajectory: Trajectory, pool: Pool) -> Encoded:
    """The prompts of an episode, see above."""
    steps = trajectory.steps
    encoded = _Encoded(trajectory, pool)
    memories = writer.memories(trajectory)
    if not steps:
        return {}
    if writer.prompt.history is not None or type(writer.prompt.style).write_episode is not AgentStyle.write_episode:
        for number, memory in enumerate(memories):
            encoded.put(number, None if memory is None else writer.messages(trajectory, number, memory))
        return encoded.result
    # Each prompt extends the one before but for the system message: the last one shows all turns.
    last = len(steps) - 1
    tail = memories[last] if writer.options.growing else None
    whole = writer.messages(trajectory, last, tail)
    places = {block.step for block in tail.blocks} if tail is not None else set()
    before: MemoryState | None = MemoryState()
    system: BaseMessage = whole[0]
    for number, memory in enumerate(memories):
        if memory is not before and memory is not None and not writer.options.growing:
            system = writer.write(trajectory, (), steps[0].observation, memory)[0]
        before = memory
        complete = memory is not None and (tail is not None or not writer.options.growing)
        encoded.put_system(number, system if complete else None)
    encoded.put_turns(whole)
    for place in sorted(places):
        encoded.put_user(place, place, str(whole[1 + 2 * place].text))
    encoded.put_defused(whole, places)
    return encoded.result


class _Encoded:
    """What is written down, built step by step."""

    def __init__(self, trajectory: Trajectory, pool: Pool) -> None:
        self.result: Encoded = {}
        self._steps, self._pool = trajectory.steps, pool
        self._text: str | None = ""
        self._system: list[int] | None = []
        self._first = 0
        self._users: dict[int, str] = {}

    def put(self, number: int, messages: Sequence[BaseMessage] | None) -> None:
        """The whole prompt of a step."""
        self.put_system(number, messages[0] if messages else None)
        if not messages:
            return
        first = number - (len(messages) - 2) // 2
        if first != self._first:
            self._first = first
            self.result.setdefault("first", []).append([number, first])
        texts = {first + place: str(message.text) for place, message in enumerate(messages[1::2])}
        for place, text in texts.items():
            if text != self._users.get(place, self._steps[place].observation):
                self.put_user(number, place, text)
        for place, message in enumerate(messages[2::2]):
            self._put_turn(first + place, str(message.text))

    def put_system(self, number: int, message: BaseMessage | None) -> None:
        text = None if message is None else str(message.text)
        if text == self._text:
            return
        self._text = text
        parts = None if text is None else self._pool.put(text)
        if parts != self._system:
            self._system = parts
            self.result.setdefault("system", []).append([number, parts])

    def put_user(self, number: int, place: int, text: str) -> None:
        same = text == self._steps[place].observation
        self._users[place] = text
        self.result.setdefault("users", []).append([number, place, None if same else self._pool.put(text)])

    def put_turns(self, messages: Sequence[BaseMessage]) -> None:
        """The turns of a prompt in which none is compressed, and of the last step, which no prompt shows."""
        for place, message in enumerate(messages[2::2]):
            self._put_turn(place, str(message.text))

    def put_defused(self, messages: Sequence[BaseMessage], places: set[int]) -> None:
        """Observations that stand in the prompt otherwise than in the record, but for those where a block stands."""
        for place, message in enumerate(messages[1::2]):
            text = str(message.text)
            if place not in places and text != self._steps[place].observation:
                self.put_user(place, place, text)

    def _put_turn(self, place: int, text: str) -> None:
        step = self._steps[place]
        if text != (step.action if step.response is None else step.response):
            self.result.setdefault("turns", {})[str(place)] = self._pool.put(text)
