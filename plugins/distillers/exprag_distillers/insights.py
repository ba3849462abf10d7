"""`insights`: rules of thumb from failures beside successes, which a chat model adds, edits, agrees to or takes out.

ExpeL (arXiv 2308.10144, section 4.2): the model compares a failed run with a successful one and works on a list of insights by
operations; each insight has an importance, which agreement raises and removal lowers, and which goes at zero.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from exprag.contracts.distiller import Distillate, Refusal
from exprag.items import Item
from exprag.trajectory import Trajectory
from exprag_distillers.asking import DATA, AskingDistiller, numbered

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel

FIRST = 2  # the importance of a new insight
LONGEST = 300
INSTRUCTION = (
    "You keep a list of insights for an agent: short rules that hold for tasks of this type in general. Compare the failed run "
    "with the successful one, if there is one, and improve the list. "
    + DATA
    + 'Answer with JSON alone: {"operations": [{"operation": "add", "text": "…"}, {"operation": "agree", "number": 1}, '
    '{"operation": "edit", "number": 2, "text": "…"}, {"operation": "remove", "number": 3}]}.'
)


@dataclass
class Insight:
    """One line of the list."""

    text: str
    importance: int = FIRST
    episodes: list[Trajectory] = field(default_factory=list)
    earlier: Item | None = None
    """The item that it was, of an earlier call."""


class Insights(AskingDistiller):
    """`most`: insights of a type."""

    name, kind, longest = "insights", "insight", LONGEST
    reads = "all"
    together = edits = True

    def __init__(self, model: str | BaseChatModel, most: int = 10, steps: int = 30) -> None:
        super().__init__(model, steps)
        self.most = most

    def distill(
        self, episodes: Sequence[Trajectory], others: Sequence[Trajectory] = (), items: Sequence[Item] = ()
    ) -> Distillate:
        insights = [Insight(item.text, FIRST + len(item.sources) - 1, earlier=item) for item in items]
        refusals = []
        wins = [episode for episode in (*episodes, *others) if episode.success]
        for failure in (episode for episode in episodes if not episode.success):
            win = next((run for run in wins if run.task.key == failure.task.key), wins[0] if wins else None)
            runs = "\n".join(self.record(run) for run in (failure, win) if run is not None)
            lines = numbered([insight.text for insight in insights])
            fields, problem = self.asker.ask(INSTRUCTION, f"Insights:\n{lines}\n\n{runs}", check)
            if not apply(insights, fields.get("operations"), failure):
                refusals.append(Refusal((failure.id,), problem or "its operations change nothing"))
        ranked = sorted(insights, key=lambda insight: -insight.importance)[: self.most]
        rows = [item for insight in ranked for item in self.edited(insight.text, insight.episodes, insight.earlier)]
        if not rows and not refusals and episodes:
            refusals.append(Refusal(tuple(episode.id for episode in episodes), "there is no failure to learn from"))
        return Distillate(tuple(rows), tuple(refusals), self.asker.usage())


def check(fields: Any) -> str:
    return "" if isinstance(fields.get("operations"), list) else 'it has no list under "operations"'


def apply(insights: list[Insight], operations: Any, episode: Trajectory) -> int:
    """Apply operations to the list, those that make no sense left out; returns how many were applied. Numbers are those of the
    list as the model read it."""
    before, count = list(insights), 0
    for each in operations if isinstance(operations, list) else []:
        if not isinstance(each, dict):
            continue
        name, number, text = each.get("operation"), each.get("number"), each.get("text")
        text = " ".join(text.split()) if isinstance(text, str) else ""
        target = before[number - 1] if isinstance(number, int) and 1 <= number <= len(before) else None
        if name == "add" and text:
            insights.append(Insight(text, episodes=[episode]))
        elif name == "edit" and target and text:
            target.text, target.importance = text, target.importance + 1
        elif name in ("agree", "remove") and target:
            target.importance += 1 if name == "agree" else -1
        else:
            continue
        if target and episode not in target.episodes:
            target.episodes.append(episode)
        count += 1
    insights[:] = [insight for insight in insights if insight.importance > 0]
    return count
