"""`state`: goal, place and inventory instead of whole texts (what StateAct has a model track, read from the actions)."""

from __future__ import annotations

from exprag.contracts.query_strategy import Moment, QueryStrategy
from exprag.trajectory import Trajectory
from exprag_models.situation import goal, kind, situation, situations


class StateStrategy(QueryStrategy):
    """The query is the goal, the place and what is held now; the key is the goal, every place that was visited and
    everything that was held. `exprag_models.situation` says how they are read.

    Asked again when the state has changed. With `place=False` only a change of what is held counts, and places are left out of
    the query: fewer searches, one per stage of the episode. Keys are the same either way.
    """

    refresh = "on_change"

    def __init__(self, place: bool = True) -> None:
        self.place = place

    def key(self, trajectory: Trajectory) -> str:
        course = situations(trajectory.steps, trajectory.final_observation)
        places = dict.fromkeys(kind(now.place) for now in course)
        things = dict.fromkeys(kind(name) for now in course for name in now.inventory)
        return _text(goal(trajectory.task), ", ".join(filter(None, places)), ", ".join(things))

    def query(self, moment: Moment) -> str:
        now = situation(moment)
        return _text(goal(moment.task), kind(now.place) if self.place else "", now.holds())


def _text(aim: str, place: str, things: str) -> str:
    parts = [aim, f"at: {place}" if place else "", f"holding: {things}" if things else ""]
    return "\n".join(filter(None, parts))
