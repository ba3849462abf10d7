"""Query strategies and selectors: the two choices inside a retriever that plugins may bring."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from exprag.trajectory import Step, Task, Trajectory

Refresh = Literal["once", "every_step"]


@dataclass(frozen=True)
class Moment:
    """Where an episode stands: the task, the steps so far, and what is observed now."""

    task: Task
    steps: tuple[Step, ...] = ()
    observation: str = ""


class QueryStrategy(ABC):
    """What text is the key of a trajectory, and what text is the query of a moment.

    Both live in one object because they must match: keys are stored in the bank under the strategy's name. `refresh` says
    when the query is asked anew: "once" per episode (static) or "every_step" (dynamic) (ExpRAG, section 3).
    """

    refresh: Refresh = "once"

    @abstractmethod
    def key(self, trajectory: Trajectory) -> str:
        """The text under which a stored trajectory is found."""

    @abstractmethod
    def query(self, moment: Moment) -> str | None:
        """The text to look for now, or None to leave the memory as it is."""


@dataclass(frozen=True)
class Candidate:
    """A trajectory that the search proposes. `score`: higher is nearer. `reason` says why it is here, for people."""

    trajectory: Trajectory
    score: float
    reason: str = ""

    def because(self, reason: str) -> Candidate:
        return replace(self, reason=reason)


class Selector(ABC):
    """Which of the scored candidates are kept."""

    def pool(self, k: int) -> int:
        """How many candidates to ask the bank for, to keep `k`."""
        return k

    @abstractmethod
    def select(self, candidates: Sequence[Candidate], k: int, moment: Moment) -> list[Candidate]:
        """At most `k` of the candidates (given best first), in the order in which they should be read."""
