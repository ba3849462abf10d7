"""`trajectory`: dynamic retrieval, partial trajectory against whole ones (ExpRAG, section 3)."""

from __future__ import annotations

from collections.abc import Sequence

from exprag.contracts.query_strategy import Moment
from exprag.errors import ConfigError
from exprag.trajectory import Step, Task, Trajectory
from exprag_models.situation import goal
from exprag_retrievers.strategies.dynamic import DynamicStrategy


class TrajectoryStrategy(DynamicStrategy):
    """The task and the episode so far against whole trajectories, at every step.

    `last` limits the query to that many last steps (0: all), for encoders with a short context.
    """

    def __init__(self, last: int = 0) -> None:
        if last < 0:
            raise ConfigError(f"`last` is a number of steps, 0 for all; not {last!r}.")
        self.last = last

    def key(self, trajectory: Trajectory) -> str:
        return _text(trajectory.task, trajectory.steps, trajectory.final_observation)

    def query(self, moment: Moment) -> str:
        steps = moment.steps[-self.last :] if self.last else moment.steps
        return _text(moment.task, steps, moment.observation)


def _text(task: Task, steps: Sequence[Step], observation: str) -> str:
    turns = [f"{step.observation}\n> {step.action}" for step in steps]
    return "\n".join([goal(task), *turns, observation])
