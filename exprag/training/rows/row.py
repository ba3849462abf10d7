"""One row of training data. The fields of `Row` are the columns of a dataset."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from exprag.training.rows.spans import Message


@dataclass(frozen=True)
class Row:
    """One row: a chat of an episode, and which of its turns are learnt."""

    id: str
    """The episode's id, "/", the number of the row in the episode."""
    trajectory: str
    """The id of the episode."""
    task: str
    """Its Task record as JSON."""
    success: bool | None
    """Its outcome."""
    first: int
    """The first step that the row trains, from 0 (masked ones count)."""
    last: int
    """The last step that the row trains, included."""
    memory: str
    """The state of its memory: retrieved, empty, mismatched, distractor; none: it has no memory."""
    k: int
    """K."""
    recalled: list[dict[str, Any]]
    """What stands in the memory block, best first: {id: str, score: float, reason: str} each."""
    bank_version: int | None
    """The version of the bank that was searched."""
    messages: list[Message]
    """The chat, {role: str, content: str} each: system, user, assistant, user, … assistant."""
    train: list[bool]
    """For each message whether it is learnt; true on turns of the assistant alone."""
    input_ids: list[int] | None = None
    """The chat in tokens (int32); the column is absent where there is no tokenizer."""
    labels: list[int] | None = None
    """The ids of what is learnt (turn and end of turn), -100 elsewhere; absent as above."""

    def to_dict(self) -> dict[str, Any]:
        """The columns by name."""
        return dict(vars(self))
