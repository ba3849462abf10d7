"""Query strategies of ExpRAG (section 3): static by task description, dynamic by partial trajectory."""

from __future__ import annotations

from collections.abc import Sequence

from exprag.retrieval import Moment, QueryStrategy
from exprag.trajectory import Step, Task, Trajectory


def _about(task: Task) -> str:
    # The type is the environment's word for the kind of problem; an instruction alone may not say it.
    return task.instruction or task.type or task.id


class TaskStrategy(QueryStrategy):
    """Static retrieval: the task description is both key and query, looked up once at the start."""

    refresh = "once"

    def key(self, trajectory: Trajectory) -> str:
        return _about(trajectory.task)

    def query(self, moment: Moment) -> str:
        return _about(moment.task)


class TrajectoryStrategy(QueryStrategy):
    """Dynamic retrieval: the task and the episode so far against whole trajectories, at every step.

    `last` limits the query to the last so many steps (0: all), for encoders with a short context.
    """

    refresh = "every_step"

    def __init__(self, last: int = 0) -> None:
        self.last = last

    def key(self, trajectory: Trajectory) -> str:
        return self._text(trajectory.task, trajectory.steps, trajectory.final_observation)

    def query(self, moment: Moment) -> str:
        steps = moment.steps[-self.last :] if self.last else moment.steps
        return self._text(moment.task, steps, moment.observation)

    @staticmethod
    def _text(task: Task, steps: Sequence[Step], observation: str) -> str:
        turns = [f"{step.observation}\n> {step.action}" for step in steps]
        return "\n".join([_about(task), *turns, observation])
