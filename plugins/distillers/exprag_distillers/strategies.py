"""`strategies`: strategy items from won and lost runs alike: a title, and what to do when.

ReasoningBank (arXiv 2509.25140, section 3): from each run at most three items with title, description and content; a success
gives what worked, a failure what to be careful of.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from exprag.contracts.distiller import Distillate, Refusal
from exprag.items import Item
from exprag.trajectory import Trajectory
from exprag_distillers.asking import DATA, AskingDistiller

MOST, LONGEST = 3, 500
INSTRUCTION = (
    "Below is the record of an agent's run. {focus} Write at most three strategy items that carry over to other tasks of the "
    "type: a title, a description in one sentence, and the content: one to three sentences of what to do and when. No names of "
    "single objects and no answer. "
    + DATA
    + 'Answer with JSON alone: {{"items": [{{"title": "…", "description": "…", "content": "…"}}]}}.'
)
FOCUS = {True: "It succeeded: say what made it succeed.", False: "It failed: say what to do or check so as not to fail so again."}


class Strategies(AskingDistiller):
    """At most three items of each run, one run at a time."""

    name, kind, longest = "strategies", "strategy", LONGEST
    reads = "all"

    def distill(
        self, episodes: Sequence[Trajectory], others: Sequence[Trajectory] = (), items: Sequence[Item] = ()
    ) -> Distillate:
        rows: list[Item] = []
        refusals = []
        for episode in episodes:
            instruction = INSTRUCTION.format(focus=FOCUS[episode.success is True])
            fields, problem = self.asker.ask(instruction, self.record(episode), check)
            rows += self.items(texts(fields), [episode])
            if not texts(fields):
                refusals.append(Refusal((episode.id,), problem))
        return Distillate(tuple(rows), tuple(refusals), self.asker.usage())


def check(fields: Any) -> str:
    return "" if texts(fields) else 'it has no items with a title and a content under "items"'


def texts(fields: Any) -> list[str]:
    """"Title: description content" of each item that has a title and a content."""
    lines = []
    items = fields.get("items")
    for item in items if isinstance(items, list) else []:
        values = item if isinstance(item, dict) else {}
        title, about, content = (str(values.get(name) or "").strip() for name in ("title", "description", "content"))
        if title and content:
            lines.append(f"{title}: {about} {content}")
    return lines[:MOST]
