"""The query strategy contract: the text a trajectory is stored under, and the text to look for at a moment of an episode."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

from exprag.trajectory import Step, Task, Trajectory


@dataclass(frozen=True)
class Moment:
    """Where an episode stands: the task, the steps so far, and what is observed now."""

    task: Task
    """What is to be done."""
    steps: tuple[Step, ...] = ()
    """What was observed and done so far, in order."""
    observation: str = ""
    """What is observed now."""


class QueryStrategy(ABC):
    """What text is the key of a trajectory, and what text is the query of a moment.

    Both live in one object because they must match: keys are stored in the bank under the strategy's name. `refresh` says
    when the bank is asked again: "once" per episode (static), "every_step" (dynamic) (ExpRAG, section 3), or one of the
    other words of `exprag.retrieval.refresh`.
    """

    refresh: str = "once"

    @abstractmethod
    def key(self, trajectory: Trajectory) -> str:
        """The text under which a stored trajectory is found."""

    @abstractmethod
    def query(self, moment: Moment) -> str | None:
        """The text to look for now, or None to leave the memory as it is."""

    def subgoal(self, moment: Moment) -> str:
        """What the agent is about just now: under refresh "on_change" the bank is asked again when it differs from the last."""
        return self.query(moment) or ""


class StepStrategy(QueryStrategy):
    """Keys by step: a trajectory is found by its best-matching step, and a window round that step is what is recalled.

    `before` and `after` say how many steps the window has on either side of the matched one.
    """

    before: int = 2
    after: int = 6

    @abstractmethod
    def keys(self, trajectory: Trajectory) -> list[str]:
        """One text per step, in order; empty for a trajectory without steps."""

    def key(self, trajectory: Trajectory) -> str:
        """All of them, a line each: what a bank shows as the key."""
        return "\n".join(self.keys(trajectory))


def window(trajectory: Trajectory, step: int, before: int, after: int) -> Trajectory:
    """The steps from `before` before `step` to `after` after it, as a trajectory of the same id, task and outcome."""
    first, last = max(0, step - before), step + after + 1
    if first == 0 and last >= len(trajectory.steps):
        return trajectory
    end = trajectory.steps[last].observation if last < len(trajectory.steps) else trajectory.final_observation
    return trajectory.model_copy(update={"steps": trajectory.steps[first:last], "final_observation": end})
