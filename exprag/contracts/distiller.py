"""The distiller contract: finished episodes in, items out.

Which episodes there are, near-duplicates, the bank that keeps items, and how they stand in a prompt belong to `exprag.items`,
`exprag.bank.items` and `exprag.prompt`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

from exprag.items import Item
from exprag.trajectory import Trajectory, Usage


@dataclass(frozen=True)
class Refusal:
    """Episodes that nothing could be written from, and why: a model that answered with prose, a failure without a cause."""

    episodes: tuple[str, ...]
    """Their ids."""
    reason: str
    """Why, for people."""


@dataclass(frozen=True)
class Distillate:
    """What a distiller made of episodes."""

    items: tuple[Item, ...] = ()
    """The items, the most useful first."""
    refusals: tuple[Refusal, ...] = ()
    """What nothing could be written from."""
    usage: Usage | None = None
    """Tokens of the model's calls; None where no model was asked, or it does not say."""


class Distiller(ABC):
    """Writes items from finished episodes. Must be deterministic but for its model, and must not raise for any valid episode:
    what nothing can be written from is a refusal."""

    kind: str = "hint"
    """What its items are: hint, insight, workflow …"""
    together: bool = False
    """Whether it reads all episodes of a type at once, to compare them; else one at a time."""
    reads: str = "failures"
    """The episodes that it is given: failures, successes or all."""
    edits: bool = False
    """Whether it goes on from `items`, and what it writes takes their place; else it is added to them."""
    needs_expert: bool = False
    """Whether it needs an expert's episodes of the same tasks."""

    @abstractmethod
    def distill(
        self, episodes: Sequence[Trajectory], others: Sequence[Trajectory] = (), items: Sequence[Item] = ()
    ) -> Distillate:
        """Items from these episodes. `others` are further episodes of the same tasks and of their types, an expert's perhaps, to
        compare with; `items` what is there of the type already, for those that edit what they have."""
