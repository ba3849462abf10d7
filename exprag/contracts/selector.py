"""The selector contract: which of the trajectories that a search proposes are kept."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace

from exprag.contracts.query_strategy import Moment
from exprag.trajectory import Trajectory


@dataclass(frozen=True)
class Candidate:
    """A trajectory that the search proposes."""

    trajectory: Trajectory
    """The whole episode."""
    score: float
    """How near its key is to the query; higher is nearer, on the scale of the search (BM25 scores have no upper limit)."""
    reason: str = ""
    """Why it is here, for people."""
    step: int | None = None
    """The step that matched, counted from 0, where keys are by step."""

    def because(self, reason: str) -> Candidate:
        """The same candidate with a reason."""
        return replace(self, reason=reason)


class Selector(ABC):
    """Which of the scored candidates are kept."""

    def pool(self, k: int) -> int:
        """How many candidates to ask the bank for, to keep `k`."""
        return k

    @abstractmethod
    def select(self, candidates: Sequence[Candidate], k: int, moment: Moment) -> list[Candidate]:
        """At most `k` of the candidates (given best first), in the order in which they should be read."""
