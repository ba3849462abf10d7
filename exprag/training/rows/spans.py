"""An episode replayed without its environment: what memory each turn had, and which turns share one prompt."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from exprag.contracts.formatter import Formatter
from exprag.contracts.query_strategy import Moment
from exprag.memory import MemoryState, PlacedBlock
from exprag.prompt import Prompt
from exprag.prompt.block import MemoryOptions
from exprag.prompt.recall import recall
from exprag.retrieval import Retriever
from exprag.trajectory import Trajectory

Message = dict[str, str]
_ROLES = {"system": "system", "human": "user", "ai": "assistant"}


@dataclass(frozen=True)
class Span:
    """Turns each prompt of which extends the one before."""

    first: int
    """The first turn, from 0."""
    last: int
    """The last turn, included."""
    memory: MemoryState | None = None
    """The memory in force at the last turn."""
    retrieval: tuple[Moment, MemoryState | None] | None = None
    """The moment at which that memory was retrieved, and the memory before it."""


@dataclass(frozen=True)
class Replay:
    """How episodes are replayed: the parts that a graph with the same configuration is made of."""

    prompt: Prompt
    """Writes the messages."""
    retriever: Retriever | None
    """Searches the bank; None: the agent has no memory."""
    formatter: Formatter
    """Writes a recalled trajectory."""
    options: MemoryOptions
    """How the memory block is written."""
    count_tokens: Callable[[str], int]
    """Tokens of a text, for budgets."""

    def spans(self, trajectory: Trajectory) -> Iterator[Span]:
        """The episode's turns in order, in as few spans as there can be."""
        first, previous_key, previous = 0, None, None
        for span in self.turns(trajectory):
            key = (_blocks(span.memory), self._compressed(trajectory, span.last))
            if previous is not None and key != previous_key and not self._extends(trajectory, previous, span):
                yield replace(previous, first=first)
                first = span.first
            previous_key, previous = key, span
        if previous is not None:
            yield replace(previous, first=first)

    def turns(self, trajectory: Trajectory) -> Iterator[Span]:
        """Each turn as a span of its own, with the memory in force."""
        memory: MemoryState | None = None
        retrieval: tuple[Moment, MemoryState | None] | None = None
        for now, step in enumerate(trajectory.steps):
            if self.retriever is not None and self.retriever.due(now, memory is not None):
                moment = Moment(trajectory.task, trajectory.steps[:now], step.observation)
                latest = self._recall(trajectory, (moment, memory))
                if latest is not None:
                    memory, retrieval = latest, (moment, memory)
            yield Span(now, now, memory, retrieval)

    def shorter(self, trajectory: Trajectory, span: Span, budget: int) -> MemoryState | None:
        """The memory of a span's last turn, had it been written within a budget of tokens."""
        within = replace(self, options=replace(self.options, budget=budget))
        if not self.options.growing:
            return within._recall(trajectory, span.retrieval) if span.retrieval else None
        return next((turn.memory for turn in within.turns(trajectory) if turn.last == span.last), None)

    def _recall(self, trajectory: Trajectory, retrieval: tuple[Moment, MemoryState | None]) -> MemoryState | None:
        """What the graph's Retrieve node would put into the state, the episode itself excluded."""
        assert self.retriever is not None
        moment, previous = retrieval
        return recall(
            self.retriever, self.formatter, moment, previous, self.options, self.count_tokens, trajectory_ids=(trajectory.id,)
        )

    def chat(self, trajectory: Trajectory, last: int, memory: MemoryState | None) -> list[Message]:
        """The prompt of turn `last`, and that turn."""
        turn = self._turns(trajectory, last + 1)[-1]
        return [*self._prompt_of(trajectory, last, memory), {"role": "assistant", "content": turn}]

    def _prompt_of(self, trajectory: Trajectory, last: int, memory: MemoryState | None) -> list[Message]:
        steps = trajectory.steps
        messages = self.prompt.messages(trajectory.task, steps[:last], steps[last].observation, memory)
        return [{"role": _ROLES[message.type], "content": str(message.text)} for message in messages]

    def _extends(self, trajectory: Trajectory, previous: Span, span: Span) -> bool:
        chat = self.chat(trajectory, previous.last, previous.memory)
        return self._prompt_of(trajectory, span.last, span.memory)[: len(chat)] == chat

    def _compressed(self, trajectory: Trajectory, now: int) -> int:
        """How many of the turns before `now` are compressed: while that stays, each prompt extends the one before."""
        history = self.prompt.history
        if history is None:
            return 0
        return history.compress(trajectory.steps[:now], self._turns(trajectory, now))[0]

    def _turns(self, trajectory: Trajectory, number: int) -> list[str]:
        return self.prompt.turns(trajectory.task, trajectory.steps[:number])


def _blocks(memory: MemoryState | None) -> tuple[PlacedBlock, ...]:
    """What of a memory stands in the prompt."""
    return memory.blocks if memory is not None else ()
