"""`cheat_sheet`: one short text for each type of task, which a chat model writes again after every run.

Dynamic Cheatsheet (arXiv 2504.07952, section 2, the cumulative variant): a curator reads the sheet and one more run, and gives
the sheet as it should stand now: what is reusable stays, what is wrong or too special goes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from exprag.contracts.distiller import Distillate, Refusal
from exprag.items import Item
from exprag.trajectory import Trajectory
from exprag_distillers.asking import DATA, AskingDistiller

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel

INSTRUCTION = (
    "You keep a cheat sheet for an agent: the reusable strategies, facts and warnings for tasks of this type, in at most {limit} "
    "characters. Below are the sheet and the record of one more run. Give the sheet as it should stand now. "
    + DATA
    + 'Answer with JSON alone: {{"sheet": "…"}}.'
)


class CheatSheet(AskingDistiller):
    """`limit`: characters of a sheet."""

    name = kind = "cheat_sheet"
    reads = "all"
    together = edits = True

    def __init__(self, model: str | BaseChatModel, limit: int = 1200, steps: int = 30) -> None:
        super().__init__(model, steps)
        self.limit, self.longest = limit, limit + 1  # a full stop is added

    def distill(
        self, episodes: Sequence[Trajectory], others: Sequence[Trajectory] = (), items: Sequence[Item] = ()
    ) -> Distillate:
        earlier = items[-1] if items else None
        sheet, sources, refusals = earlier.text if earlier else "", [], []

        def check(fields: Any) -> str:
            text = fields.get("sheet")
            if not isinstance(text, str) or not text.strip():
                return 'it has no text under "sheet"'
            return f"the sheet is longer than {self.limit} characters" if len(text) > self.limit else ""

        for episode in episodes:
            records = f"Sheet:\n{sheet or '(empty)'}\n\n{self.record(episode)}"
            fields, problem = self.asker.ask(INSTRUCTION.format(limit=self.limit), records, check)
            if problem:
                refusals.append(Refusal((episode.id,), problem))
            else:
                sheet = " ".join(fields["sheet"].split())
                sources.append(episode)
        return Distillate(self.edited(sheet, sources, earlier), tuple(refusals), self.asker.usage())
