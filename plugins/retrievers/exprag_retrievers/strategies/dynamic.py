"""What the dynamic strategies share: their sub-goal is what the agent has in hand."""

from __future__ import annotations

from exprag.contracts.query_strategy import Moment, QueryStrategy
from exprag_models.situation import goal, situation


class DynamicStrategy(QueryStrategy):
    """A strategy whose query changes at every step, and whose sub-goal changes only when something was taken or given away.

    Under refresh "on_change" the query text itself would be another at every step; what is carried marks the stages of an
    episode in any environment where things are carried, and never changes in one where nothing is.
    """

    refresh = "every_step"

    def subgoal(self, moment: Moment) -> str:
        return f"{goal(moment.task)}\nholding: {situation(moment).holds()}"
