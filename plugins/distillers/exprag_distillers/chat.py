"""`chat`: a chat model writes one to four rules from each failed run (arXiv 2510.01375, stage B)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from exprag.contracts.distiller import Distillate, Refusal
from exprag.items import Item
from exprag.trajectory import Trajectory
from exprag_distillers.asking import DATA, STEPS, AskingDistiller, texts_of
from exprag_distillers.forms import LONGEST

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel

MOST = 4
INSTRUCTION = (
    "An agent has failed a task of the type named below. Write one to four rules that would have helped it, and that help with "
    f"other tasks of the type. Each rule is an imperative sentence of at most {LONGEST} characters. Write placeholders such as "
    "{object} or {container} for whatever differs from task to task: no names of single objects, no numbers, no answer. "
    + DATA
    + 'Answer with JSON alone: {"hints": ["…", "…"]}.'
)
SCHEMA: dict[str, Any] = {
    "title": "Hints",
    "description": "Rules drawn from a failed run",
    "type": "object",
    "properties": {"hints": {"type": "array", "items": {"type": "string"}, "description": "one to four rules"}},
    "required": ["hints"],
}


class Chat(AskingDistiller):
    """`structured`: whether structured output is tried first. What is still wrong after one repair is a refusal, with the
    reason."""

    name = "chat"

    def __init__(self, model: str | BaseChatModel, steps: int = STEPS, structured: bool = True) -> None:
        super().__init__(model, steps)
        self.asker.structured = structured

    def distill(
        self, episodes: Sequence[Trajectory], others: Sequence[Trajectory] = (), items: Sequence[Item] = ()
    ) -> Distillate:
        rows: list[Item] = []
        refusals = []
        for episode in episodes:
            fields, problem = self.asker.ask(INSTRUCTION, self.record(episode), check, SCHEMA)
            texts = rules(fields)
            rows += self.items(texts, [episode], others)
            if not texts:
                refusals.append(Refusal((episode.id,), problem))
        return Distillate(tuple(rows), tuple(refusals), self.asker.usage())


def rules(fields: Any) -> list[str]:
    """The rules of an answer that keep to the form."""
    texts = texts_of(fields.get("hints")) if isinstance(fields, dict) else []
    return [text for text in texts if len(text) <= LONGEST][:MOST]


def check(fields: Any) -> str:
    """What is wrong with an answer; "" where nothing is."""
    texts = fields.get("hints") if isinstance(fields, dict) else None
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        return 'it has no list of texts under "hints"'
    lines = texts_of(texts)
    if not lines:
        return "its list of hints is empty"
    if long := sum(len(line) > LONGEST for line in lines):
        return f"{long} of its hints are longer than {LONGEST} characters"
    return f"it has {len(lines)} hints, and {MOST} are the most" if len(lines) > MOST else ""
