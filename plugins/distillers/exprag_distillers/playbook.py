"""`playbook`: bullets that grow run by run, each with how often it helped and harmed; small edits, never the whole rewritten.

ACE (arXiv 2510.04618, section 3): what a run shows is reflected on, and a curator adds bullets or marks those that helped or
harmed; near-duplicates are joined, and bullets that harmed more than they helped go (grow and refine).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from exprag.contracts.distiller import Distillate, Refusal
from exprag.items import ALIKE, Item, similarity
from exprag.trajectory import Trajectory
from exprag_distillers.asking import DATA, STEPS, AskingDistiller, numbered, texts_of

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel

LONGEST = 400
INSTRUCTION = (
    "You keep a playbook for an agent: bullets of what to do in tasks of this type. Below are its bullets and the record of one "
    "more run. Say which bullets, by number, would have helped in it or harmed, and add bullets for what none of them says yet. "
    + DATA
    + 'Answer with JSON alone: {"helpful": [1], "harmful": [], "add": ["…"]}.'
)


@dataclass
class Bullet:
    """One line of the playbook."""

    text: str
    helpful: int = 0
    harmful: int = 0
    episodes: list[Trajectory] = field(default_factory=list)
    earlier: Item | None = None
    """The item that it was, of an earlier call."""


class Playbook(AskingDistiller):
    """`most`: bullets of a type."""

    name, kind, longest = "playbook", "bullet", LONGEST
    reads = "all"
    together = edits = True

    def __init__(self, model: str | BaseChatModel, most: int = 20, steps: int = STEPS) -> None:
        super().__init__(model, steps)
        self.most = most

    def distill(
        self, episodes: Sequence[Trajectory], others: Sequence[Trajectory] = (), items: Sequence[Item] = ()
    ) -> Distillate:
        bullets = [Bullet(item.text, helpful=len(item.sources), earlier=item) for item in items]
        refusals = []
        for episode in episodes:
            lines = numbered([bullet.text for bullet in bullets])
            fields, problem = self.asker.ask(INSTRUCTION, f"Bullets:\n{lines}\n\n{self.record(episode)}", check)
            if problem:
                refusals.append(Refusal((episode.id,), problem))
            else:
                edit(bullets, fields, episode)
        ranked = sorted(bullets, key=lambda bullet: bullet.harmful - bullet.helpful)
        chosen = [bullet for bullet in ranked if bullet.harmful <= bullet.helpful][: self.most]
        rows = [item for bullet in chosen for item in self.edited(bullet.text, bullet.episodes, bullet.earlier)]
        if not rows and not refusals and episodes:
            refusals.append(Refusal(tuple(episode.id for episode in episodes), "no bullet was added"))
        return Distillate(tuple(rows), tuple(refusals), self.asker.usage())


def check(fields: Any) -> str:
    names = ("helpful", "harmful", "add")
    whole = fields and all(isinstance(fields.get(name, []), list) for name in names)
    return "" if whole else f"it has no lists {', '.join(names)}"


def edit(bullets: list[Bullet], fields: dict[str, Any], episode: Trajectory) -> None:
    """Mark and add bullets, as a run showed."""
    before = list(bullets)
    for name in ("helpful", "harmful"):
        for number in fields.get(name, []):
            if isinstance(number, int) and 1 <= number <= len(before):
                setattr(before[number - 1], name, getattr(before[number - 1], name) + 1)
                before[number - 1].episodes += [episode] if episode not in before[number - 1].episodes else []
    for text in texts_of(fields.get("add")):
        twin = next((bullet for bullet in bullets if similarity(bullet.text, text) >= ALIKE), None)
        if twin is None:
            bullets.append(Bullet(text, episodes=[episode]))
        elif episode not in twin.episodes:
            twin.episodes.append(episode)
