"""One row of training data.

Its columns, in a dataset as in `Row`:

    id            str              the episode's id, "/", the number of the row in the episode
    trajectory    str              the id of the episode
    task          str              its Task record as JSON
    success       bool or null     its outcome
    first, last   int              the steps that the row trains, from 0, both included (masked ones among them)
    memory        str              retrieved, empty, mismatched, distractor; none: no memory was asked for
    k             int              K
    recalled      list of {id: str, score: float, reason: str}   what stands in the memory block, best first
    bank_version  int or null      the version of the bank that was asked
    messages      list of {role: str, content: str}              system, user, assistant, user, … assistant
    train         list of bool     one per message: whether it is learnt; true on turns of the assistant alone
    input_ids     list of int32    the chat in tokens; absent where no tokenizer was given
    labels        list of int32    the ids of what is learnt (turn and end of turn), -100 elsewhere; absent as above
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from exprag.training.rows.spans import Message


@dataclass(frozen=True)
class Row:
    """One row; the columns are described at the top of this module."""

    id: str
    trajectory: str
    task: str
    success: bool | None
    first: int
    last: int
    memory: str
    k: int
    recalled: list[dict[str, Any]]
    bank_version: int | None
    messages: list[Message]
    train: list[bool]
    input_ids: list[int] | None = None
    labels: list[int] | None = None

    def to_dict(self) -> dict[str, Any]:
        return dict(vars(self))
