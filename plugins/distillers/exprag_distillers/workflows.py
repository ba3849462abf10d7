"""`workflows`: the routines of successful runs, with what differs from task to task left open. No model is asked.

Agent Workflow Memory (arXiv 2409.07429, section 2): a workflow is a sequence of steps that recurs in successful runs, its values
abstracted. Here by rule, where the paper has a model word them: the actions as forms, the most common sequence of a type first.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from exprag.contracts.distiller import Distillate, Distiller, Refusal
from exprag.items import Item
from exprag.trajectory import Trajectory
from exprag_distillers.expert import course_of
from exprag_distillers.rules import make_items


class Workflows(Distiller):
    """`most`: workflows of a type."""

    kind = "workflow"
    reads = "successes"
    together = True

    def __init__(self, most: int = 3) -> None:
        self.most = most

    def distill(
        self, episodes: Sequence[Trajectory], others: Sequence[Trajectory] = (), items: Sequence[Item] = ()
    ) -> Distillate:
        by_type: dict[str, list[Trajectory]] = defaultdict(list)
        for episode in episodes:
            by_type[episode.task.type].append(episode)
        rows: list[Item] = []
        refusals = []
        for runs in by_type.values():
            courses: dict[str, list[Trajectory]] = defaultdict(list)
            for run in runs:
                if course := course_of(run, 0, runs):
                    courses[course].append(run)
            ranked = sorted(courses, key=lambda text: (-len(courses[text]), text))
            for text in ranked[: self.most]:
                rows += make_items([text], courses[text], distiller="workflows", kind=self.kind)
            if not ranked:
                refusals.append(Refusal(tuple(run.id for run in runs), "no run has a routine that is short enough"))
        return Distillate(tuple(rows), tuple(refusals))
