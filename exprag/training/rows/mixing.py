"""What memory an episode is shown in training: drawn by seed and episode, so that it does not hang on what else is built.

Beside what the arm would recall there may be rows with an empty or a mismatched memory, and rows with distractors: trajectories
of other task types among the right ones (RAFT, section 3). Each of them is something that the same retriever gives, under
another index state.
"""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import dataclass, replace

from exprag.contracts.query_strategy import Moment
from exprag.contracts.selector import Candidate
from exprag.retrieval import Previous, Retrieval, Retriever
from exprag.training.rows.config import DataConfig

RETRIEVED, EMPTY, MISMATCHED, DISTRACTOR, NONE = "retrieved", "empty", "mismatched", "distractor", "none"
_DISTRACTING = "a distractor of another type"


@dataclass(frozen=True)
class Choice:
    """What was drawn for an episode: K, and the state of its memory."""

    k: int
    memory: str


def choose(config: DataConfig, episode: str) -> Choice:
    """The same seed, shares and episode give the same choice."""
    k = random.Random(f"{config.seed} k {episode}").choice(config.k_choices or (config.k,))
    if k == 0:
        return Choice(0, NONE)
    drawn = random.Random(f"{config.seed} memory {episode}").random()
    shares = ((EMPTY, config.empty_share), (MISMATCHED, config.mismatched_share), (DISTRACTOR, config.distractor_share))
    for state, share in shares:
        if drawn < share:
            return Choice(k, state)
        drawn -= share
    return Choice(k, EMPTY if config.index == "empty" else RETRIEVED)


class Retrievers:
    """One retriever, and what it is under other choices."""

    def __init__(self, retriever: Retriever, config: DataConfig) -> None:
        self._retriever = retriever
        self._seed = config.seed
        if config.failures == "drop":
            self._retriever = retriever.changed(where=replace(retriever.where, success=True))
        self._made: dict[Choice, Retriever] = {}

    def of(self, choice: Choice) -> Retriever:
        if choice not in self._made:
            self._made[choice] = self._make(choice)
        return self._made[choice]

    def _make(self, choice: Choice) -> Retriever:
        keep = min(self._retriever.keep, choice.k)
        right = self._retriever.changed(k=choice.k, keep=keep)
        if choice.memory == EMPTY:
            return right.changed(index="empty")
        if choice.memory == MISMATCHED:
            return right.changed(index="mismatched", index_types=frozenset())
        return Distracted(right, self._seed) if choice.memory == DISTRACTOR else right


class Distracted(Retriever):
    """A retriever that puts distractors in the place of its worst half; of one trajectory, beside it. Their order is mixed."""

    def __init__(self, right: Retriever, seed: int) -> None:
        vars(self).update(vars(right))
        self._right, self._wrong = right, right.changed(index="mismatched", index_types=frozenset(), keep=0)
        self._seed = seed

    def retrieve(
        self, moment: Moment, *, trajectory_ids: Iterable[str] = (), previous: Previous | None = None
    ) -> Retrieval | None:
        ids = tuple(trajectory_ids)
        if previous is not None:
            previous = replace(previous, recalled=tuple(r for r in previous.recalled if r.reason != _DISTRACTING))
        found = self._right.retrieve(moment, trajectory_ids=ids, previous=previous)
        if found is None:
            return None
        right = found.candidates[: max(1, self.k // 2)]
        others = self._wrong.retrieve(moment, trajectory_ids=ids)
        beside = [c.because(_DISTRACTING) for c in (others.candidates if others else ())][: max(self.k, 2) - len(right)]
        mixed: list[Candidate] = [*right, *beside]
        random.Random(f"{self._seed} order {moment.task.key} {len(moment.steps)}").shuffle(mixed)
        return replace(found, candidates=tuple(mixed))
