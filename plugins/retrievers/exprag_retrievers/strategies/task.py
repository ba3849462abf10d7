"""`task`: static retrieval by task description (ExpRAG, section 3)."""

from __future__ import annotations

from exprag.contracts.query_strategy import Moment, QueryStrategy
from exprag.trajectory import Trajectory
from exprag_models.situation import goal


class TaskStrategy(QueryStrategy):
    """The task description is both key and query, looked up once at the start."""

    refresh = "once"

    def key(self, trajectory: Trajectory) -> str:
        return goal(trajectory.task)

    def query(self, moment: Moment) -> str:
        return goal(moment.task)
