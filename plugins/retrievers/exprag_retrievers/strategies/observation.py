"""`task_and_observation` and `last_observation`: what is seen now, with or without the task.

The key of a trajectory is all that was observed in it, each text once: any observation of an episode like it can be met.
"""

from __future__ import annotations

from exprag.contracts.query_strategy import Moment
from exprag.trajectory import Trajectory
from exprag_models.situation import goal
from exprag_retrievers.strategies.dynamic import DynamicStrategy


class LastObservationStrategy(DynamicStrategy):
    """What is observed now against all that was observed in a trajectory; the task is left out of account."""

    def key(self, trajectory: Trajectory) -> str:
        observations = [step.observation for step in trajectory.steps] + [trajectory.final_observation]
        return "\n".join(dict.fromkeys(observations)).strip() or goal(trajectory.task)

    def query(self, moment: Moment) -> str:
        return moment.observation.strip() or goal(moment.task)


class TaskAndObservationStrategy(LastObservationStrategy):
    """The task and what is observed now, against the task and all that was observed in a trajectory."""

    def key(self, trajectory: Trajectory) -> str:
        return f"{goal(trajectory.task)}\n{super().key(trajectory)}"

    def query(self, moment: Moment) -> str:
        return f"{goal(moment.task)}\n{super().query(moment)}"
