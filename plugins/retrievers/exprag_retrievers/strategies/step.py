"""`step`: the moment against single steps of stored trajectories; a window round the best-matching step is recalled."""

from __future__ import annotations

from exprag.contracts.query_strategy import Moment, StepStrategy
from exprag.errors import ConfigError
from exprag.trajectory import Task, Trajectory
from exprag_models.situation import goal
from exprag_retrievers.strategies.dynamic import DynamicStrategy


class ByStepStrategy(DynamicStrategy, StepStrategy):
    """A step's key is the goal, what had just been done, and what was then observed; the query is the same of this moment.

    `before` and `after`: how many steps the window has on either side of the matched one. The default looks ahead: what was
    done after a moment like this is what the agent lacks.
    """

    def __init__(self, before: int = 2, after: int = 6) -> None:
        if before < 0 or after < 0:
            raise ConfigError(f"A window has 0 or more steps on either side, not {before!r} before and {after!r} after.")
        self.before = before
        self.after = after

    def keys(self, trajectory: Trajectory) -> list[str]:
        before = ["", *trajectory.actions]
        return [_text(trajectory.task, before[number], step.observation) for number, step in enumerate(trajectory.steps)]

    def query(self, moment: Moment) -> str:
        action = moment.steps[-1].action if moment.steps else ""
        return _text(moment.task, action, moment.observation)


def _text(task: Task, action: str, observation: str) -> str:
    return "\n".join(filter(None, [goal(task), f"> {action}" if action else "", observation]))
