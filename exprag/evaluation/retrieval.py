"""How well a bank finds experience that helps, without any model: what the best of K recalled trajectories has in common with how
the task was solved.

The references are episodes whose solution is known: by default those of the bank itself, each asked for without its own task and
group (the exclusion of every episode holds). Asked for is at the `start` of the episode, and where the query strategy asks again,
`later`: after 1/4, 1/2 and 3/4 of its steps.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from exprag.contracts.query_strategy import Moment
from exprag.errors import BankError, ConfigError
from exprag.evaluation.clusters import limits_of_means
from exprag.evaluation.likeness import MEASURES, agreement, common_words
from exprag.evaluation.measures import Measure
from exprag.evaluation.statistics import Interval, wilson
from exprag.text import redact
from exprag.trajectory import Trajectory

if TYPE_CHECKING:
    from exprag.bank import Bank
    from exprag.retrieval import Retriever

LATER = (0.25, 0.5, 0.75)
RATES = ("type", "object", "plan")


@dataclass(frozen=True)
class RetrievalRow:
    """One figure: the mean of a measure over references, with its 95 % interval."""

    strategy: str
    k: int
    when: str
    measure: str
    value: Measure
    chance: float | None = None
    """The type alone: what K trajectories drawn at random would reach."""


@dataclass(frozen=True)
class RetrievalQuality:
    """What was measured of a bank."""

    bank: str
    version: int
    encoder: str
    selector: str
    references: int
    rows: tuple[RetrievalRow, ...]

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    def to_json(self) -> str:
        return json.dumps(self.to_dict(), indent=2, allow_nan=False)


def evaluate_retrieval(
    bank: Bank,
    strategies: Sequence[str] = (),
    *,
    references: Sequence[Trajectory] | None = None,
    ks: Sequence[int] = (1, 2, 4),
    selector: str = "top_k",
    search_mode: str = "auto",
    exclude_by: Sequence[str] = (),
    sample: int = 200,
) -> RetrievalQuality:
    """Measure each query strategy (default: all whose keys the bank holds) at each K.

    `references`: episodes to ask for; default: of the bank's own. `sample`: at most this many of them, evenly spread. Raises
    BankError for an empty bank, ConfigError where there is no reference.
    """
    from exprag.retrieval import Retriever

    if not len(bank):
        raise BankError(f"The bank {redact(bank.uri)} has no trajectory to find.", cure="Add some: exprag bank add")
    if not ks or min(ks) < 1:
        raise ConfigError(f"K is 1 or more; not {', '.join(map(str, ks)) or 'none'}.")
    stored = {trajectory.id: trajectory for trajectory in bank.trajectories()}
    chosen = spread(list(references) if references is not None else list(stored.values()), sample)
    if not chosen:
        raise ConfigError("There is no episode to ask for.", cure="Name files with episodes: --against FILE")
    common = common_words(trajectory.task for trajectory in (*stored.values(), *chosen))
    rows: list[RetrievalRow] = []
    for strategy in strategies or bank.strategies:
        for k in ks:
            retriever = Retriever(bank, strategy, selector, k, search_mode=search_mode, exclude_by=exclude_by)
            scores: dict[tuple[str, str], list[tuple[str, float]]] = defaultdict(list)
            chances = []
            for reference in chosen:
                chances.append(_chance(reference, stored.values(), k))
                for when, moment in moments_of(reference, retriever):
                    retrieval = retriever.retrieve(moment)
                    others = [stored.get(c.trajectory.id, c.trajectory) for c in retrieval.candidates] if retrieval else []
                    for name, score in agreement(reference, others, common).items():
                        scores[when, name].append((reference.task.key, score))
            chance = sum(chances) / len(chances)
            rows += _rows(strategy, k, scores, chance)
    return RetrievalQuality(redact(bank.uri), bank.version, bank.encoder, selector, len(chosen), tuple(rows))


def spread(items: list[Trajectory], count: int) -> list[Trajectory]:
    """At most `count` of the items, evenly spread over them in the order of their ids."""
    items = sorted(items, key=lambda trajectory: trajectory.id)
    if len(items) <= count:
        return items
    return [items[index * len(items) // count] for index in range(count)]


def _rows(strategy: str, k: int, scores: dict[tuple[str, str], list[tuple[str, float]]], chance: float) -> Iterator[RetrievalRow]:
    for when in ("start", "later"):
        for name in MEASURES:
            if pairs := scores.get((when, name)):
                row = RetrievalRow(strategy, k, when, name, _measure(pairs, rate=name in RATES and when == "start"))
                yield replace(row, chance=chance) if name == "type" else row


def _measure(pairs: Sequence[tuple[str, float]], rate: bool) -> Measure:
    """Mean and interval over (task, score): Wilson's for a rate of different tasks, else a bootstrap's over tasks."""
    import numpy as np

    tasks, values = zip(*pairs, strict=True)
    mean = sum(values) / len(values)
    if rate and len(set(tasks)) == len(tasks):
        return Measure(len(values), mean, wilson(round(sum(values)), len(values)))
    (limits,) = limits_of_means(np.array(values)[:, None], tasks)
    return Measure(len(values), mean, Interval(*limits) if limits else None)


def moments_of(episode: Trajectory, retriever: Retriever) -> Iterator[tuple[str, Moment]]:
    """The moments of an episode at which a bank is asked: its start and, where the retriever asks again, some later ones."""
    steps = episode.steps
    yield "start", Moment(episode.task, (), steps[0].observation if steps else episode.final_observation)
    for part in LATER if retriever.refresh != "once" else ():
        at = int(part * len(steps))
        if 0 < at < len(steps):
            yield "later", Moment(episode.task, steps[:at], steps[at].observation)


def _chance(reference: Trajectory, stored: Any, k: int) -> float:
    """The probability that one of k trajectories drawn at random, of those that it may see, has the reference's type."""
    from exprag.bank.exclusion import Exclusion

    exclusion = Exclusion.of(reference.task, (reference.id,), ())
    open_to = [other for other in stored if other.task.environment == reference.task.environment and not exclusion.why(other)]
    if not open_to:
        return 0.0
    same = sum(other.task.type == reference.task.type for other in open_to)
    miss = 1.0
    for drawn in range(min(k, len(open_to))):
        miss *= max(0, len(open_to) - same - drawn) / (len(open_to) - drawn)
    return 1 - miss
