"""An episode played again on paper: what memory each turn had, and which turns share one prompt."""

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
    """Turns `first` to `last` (from 0, both included), each prompt of which extends the one before. `memory` is in force at the
    last, and was recalled at the moment, and after the memory, in `asked`."""

    first: int
    last: int
    memory: MemoryState | None = None
    asked: tuple[Moment, MemoryState | None] | None = None


@dataclass(frozen=True)
class Replay:
    """How episodes are replayed: the parts that a graph of the same arm is made of. `retriever` None: without memory."""

    prompt: Prompt
    retriever: Retriever | None
    formatter: Formatter
    options: MemoryOptions
    count_tokens: Callable[[str], int]

    def spans(self, trajectory: Trajectory) -> Iterator[Span]:
        """The episode's turns in order, in as few spans as there can be."""
        first, mark, before = 0, None, None
        for span in self.turns(trajectory):
            here = (_blocks(span.memory), self._compressed(trajectory, span.last))
            if before is not None and here != mark and not self._extends(trajectory, before, span):
                yield replace(before, first=first)
                first = span.first
            mark, before = here, span
        if before is not None:
            yield replace(before, first=first)

    def turns(self, trajectory: Trajectory) -> Iterator[Span]:
        """Each turn as a span of its own, with the memory in force."""
        memory: MemoryState | None = None
        asked: tuple[Moment, MemoryState | None] | None = None
        for now, step in enumerate(trajectory.steps):
            if self.retriever is not None and self.retriever.due(now, memory is not None):
                moment = Moment(trajectory.task, trajectory.steps[:now], step.observation)
                found = self._recall(trajectory, (moment, memory))
                if found is not None:
                    memory, asked = found, (moment, memory)
            yield Span(now, now, memory, asked)

    def shorter(self, trajectory: Trajectory, span: Span, budget: int) -> MemoryState | None:
        """The memory of a span's last turn, had it been written within so many tokens."""
        within = replace(self, options=replace(self.options, budget=budget))
        if not self.options.growing:
            return within._recall(trajectory, span.asked) if span.asked else None
        return next((turn.memory for turn in within.turns(trajectory) if turn.last == span.last), None)

    def _recall(self, trajectory: Trajectory, asked: tuple[Moment, MemoryState | None]) -> MemoryState | None:
        """What the graph's Retrieve node would put into the state, the episode itself excluded."""
        assert self.retriever is not None
        moment, previous = asked
        return recall(
            self.retriever, self.formatter, moment, previous, self.options, self.count_tokens, trajectory_ids=(trajectory.id,)
        )

    def chat(self, trajectory: Trajectory, last: int, memory: MemoryState | None) -> list[Message]:
        """The prompt that asked for turn `last`, and that turn."""
        turn = self._written(trajectory, last + 1)[-1]
        return [*self._asked(trajectory, last, memory), {"role": "assistant", "content": turn}]

    def _asked(self, trajectory: Trajectory, last: int, memory: MemoryState | None) -> list[Message]:
        steps = trajectory.steps
        messages = self.prompt.messages(trajectory.task, steps[:last], steps[last].observation, memory)
        return [{"role": _ROLES[message.type], "content": str(message.text)} for message in messages]

    def _extends(self, trajectory: Trajectory, before: Span, span: Span) -> bool:
        so_far = self.chat(trajectory, before.last, before.memory)
        return self._asked(trajectory, span.last, span.memory)[: len(so_far)] == so_far

    def _compressed(self, trajectory: Trajectory, now: int) -> int:
        """How many of the turns before `now` are compressed: while that stays, each prompt extends the one before."""
        history = self.prompt.history
        if history is None:
            return 0
        return history.compress(trajectory.steps[:now], self._written(trajectory, now))[0]

    def _written(self, trajectory: Trajectory, number: int) -> list[str]:
        return self.prompt.turns(trajectory.task, trajectory.steps[:number])


def _blocks(memory: MemoryState | None) -> tuple[PlacedBlock, ...]:
    """What of a memory stands in the prompt."""
    return memory.blocks if memory is not None else ()
