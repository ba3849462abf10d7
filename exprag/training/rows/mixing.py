"""What memory an episode gets in training: drawn by seed and episode, so that it does not depend on what else is built.

Beside what the agent would recall there may be rows with an empty or a mismatched memory, and rows with distractors: trajectories
of other task types among the right ones (RAFT, section 3). Each of them is something that the same retriever gives, under
another index state.
"""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import dataclass, replace

from exprag.contracts.query_strategy import Moment
from exprag.contracts.selector import Candidate
from exprag.memory import MemoryState
from exprag.retrieval import Retrieval, Retriever
from exprag.training.rows.config import DataConfig

RETRIEVED, EMPTY, MISMATCHED, DISTRACTOR, NONE = "retrieved", "empty", "mismatched", "distractor", "none"
_DISTRACTING = "a distractor of another type"


@dataclass(frozen=True)
class Choice:
    """What was drawn for an episode."""

    k: int
    """Trajectories to recall."""
    memory: str
    """The state of its memory: retrieved, empty, mismatched, distractor, or none."""


def choose(config: DataConfig, episode: str) -> Choice:
    """The same seed, shares and episode give the same choice."""
    k = random.Random(f"{config.seed} k {episode}").choice(config.k_choices or (config.agent.k,))
    if k == 0:
        return Choice(0, NONE)
    number = random.Random(f"{config.seed} memory {episode}").random()
    shares = ((EMPTY, config.empty_share), (MISMATCHED, config.mismatched_share), (DISTRACTOR, config.distractor_share))
    for state, share in shares:
        if number < share:
            return Choice(k, state)
        number -= share
    return Choice(k, EMPTY if config.agent.index_state == "empty" else RETRIEVED)


class Retrievers:
    """One retriever, and what it is under other choices."""

    def __init__(self, retriever: Retriever, config: DataConfig) -> None:
        self._retriever = retriever
        self._seed = config.seed
        if config.failures == "drop":
            self._retriever = retriever.changed(where=replace(retriever.where, success=True))
        self._by_choice: dict[Choice, Retriever] = {}

    def of(self, choice: Choice) -> Retriever:
        if choice not in self._by_choice:
            self._by_choice[choice] = self._make(choice)
        return self._by_choice[choice]

    def _make(self, choice: Choice) -> Retriever:
        carry_over = min(self._retriever.carry_over, choice.k)
        right = self._retriever.changed(k=choice.k, carry_over=carry_over)
        if choice.memory == EMPTY:
            return right.changed(index_state="empty")
        if choice.memory == MISMATCHED:
            return _wrong(right)
        return Distracted(right, self._seed) if choice.memory == DISTRACTOR else right


def _wrong(right: Retriever) -> Retriever:
    """A retriever of other types than the episode's own, among those that may be found at all: what is held out by an index of
    matching types is held out here too."""
    where = right.where
    if right.index_state == "matched" and right.index_types:
        types = right.index_types if where.types is None else right.index_types & set(where.types)
        where = replace(where, types=tuple(sorted(types)))
    return right.changed(where=where, index_state="mismatched", index_types=frozenset())


class Distracted(Retriever):
    """A retriever that puts distractors in the place of its worst half; of one trajectory, beside it. Their order is mixed."""

    def __init__(self, right: Retriever, seed: int) -> None:
        vars(self).update(vars(right))
        self._right, self._wrong = right, _wrong(right).changed(carry_over=0)
        self._seed = seed

    def retrieve(
        self, moment: Moment, *, trajectory_ids: Iterable[str] = (), previous: MemoryState | None = None
    ) -> Retrieval | None:
        ids = tuple(trajectory_ids)
        if previous is not None:
            right = tuple(item for item in previous.recalled if item.reason != _DISTRACTING)
            previous = previous.model_copy(update={"recalled": right})
        retrieval = self._right.retrieve(moment, trajectory_ids=ids, previous=previous)
        if retrieval is None:
            return None
        candidates = retrieval.candidates[: max(1, self.k // 2)]
        others = self._wrong.retrieve(moment, trajectory_ids=ids)
        distractors = [c.because(_DISTRACTING) for c in (others.candidates if others else ())][: max(self.k, 2) - len(candidates)]
        order: list[Candidate] = [*candidates, *distractors]
        random.Random(f"{self._seed} order {moment.task.key} {len(moment.steps)}").shuffle(order)
        return replace(retrieval, candidates=tuple(order))
