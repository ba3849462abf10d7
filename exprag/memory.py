"""MemoryState: what of the bank stands in the prompt now, as one record in a graph's state.

A memory is a list of text blocks, each placed at the step at which it was retrieved. Where later retrievals replace earlier
ones (placements "system" and "task") there is at most one block. Where they grow (placement "tail") the earlier blocks stay
in force, and each new block brings only what is not in force yet.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Self

from pydantic import Field

from exprag.errors import RecordError
from exprag.trajectory import Name, Number, Recalled, Record, Text, Usage


class PlacedBlock(Record):
    """The text of one memory block, and where it stands."""

    text: Text
    """The block as the model reads it."""
    step: int = Field(ge=0)
    """The step at which it was retrieved; 0 is the first."""


class ShownHint(Record):
    """One item of the bank, such as a hint, that stands in the prompt after the task."""

    id: Name
    """Its id."""
    text: Text
    """What the model reads."""
    score: Number = 0.0
    """How well it ranked; higher is better."""
    reason: Text = ""
    """Why it was shown, for people."""


class MemoryState(Record):
    """The memory in force at a step: its text, what is in it, and how it was asked for."""

    blocks: tuple[PlacedBlock, ...] = ()
    """The blocks in force, the oldest first; none where nothing is shown."""
    recalled: tuple[Recalled, ...] = ()
    """The trajectories in the blocks, best first within each retrieval."""
    abbreviated: tuple[Recalled, ...] = ()
    """Those of the last retrieval whose observations were shortened to fit the token budget."""
    dropped: tuple[Recalled, ...] = ()
    """Those of the last retrieval, documents included, that the token budget left out."""
    documents: tuple[Recalled, ...] = ()
    """The documents in the blocks, by id."""
    hints: tuple[ShownHint, ...] = ()
    """The hints, found once at the first step; they stay."""
    hint_usage: Usage | None = None
    """Tokens of the model that chose the hints; None: no model did, or it does not say."""
    query: Text = ""
    """The text that the bank was asked for."""
    subgoal: Text = ""
    """What the agent was about, where the refresh is "on_change"."""
    bank_version: int | None = None
    """The version of the bank that answered."""

    @classmethod
    def of(cls, value: Any) -> Self | None:
        """The record of a graph state's `memory`, which may be None. Raises RecordError where another version wrote it."""
        if value is None or isinstance(value, cls):
            return value
        try:
            return cls.from_dict(value)
        except RecordError as error:
            raise RecordError(
                f"The memory of this thread does not validate: {error.message}",
                cure="Another version of exprag wrote it, or it was edited by hand: start a new thread, or fork before it.",
            ) from error

    @classmethod
    def from_text(cls, text: str, step: int = 0) -> Self:
        """A memory of one block that was written otherwise; of none for an empty text."""
        return cls(blocks=(PlacedBlock(text=text, step=step),) if text else ())

    @property
    def text(self) -> str:
        """The newest block, or "" where nothing is shown."""
        return self.blocks[-1].text if self.blocks else ""

    @property
    def ids(self) -> frozenset[str]:
        """The trajectories in force."""
        return frozenset(item.id for item in self.recalled)

    @property
    def document_ids(self) -> frozenset[str]:
        """The documents in force."""
        return frozenset(item.id for item in self.documents)

    def size(self, count_tokens: Callable[[str], int]) -> int:
        """Tokens of all the blocks in force."""
        return sum(count_tokens(block.text) for block in self.blocks)

    def replaced_by(self, latest: MemoryState) -> MemoryState:
        """The memory after a retrieval that replaces this one. A block that comes back word for word stays at its step, so
        that what a server has cached of the prompt remains good."""
        if latest.blocks and self.text == latest.text:
            return latest.model_copy(update={"blocks": self.blocks[-1:]})
        return latest

    def grown_by(self, latest: MemoryState) -> MemoryState:
        """The memory after a retrieval that brought only what is new: earlier blocks and what is in them stay in force."""
        return latest.model_copy(
            update={
                "blocks": self.blocks + latest.blocks,
                "recalled": self.recalled + latest.recalled,
                "documents": self.documents + latest.documents,
            }
        )
