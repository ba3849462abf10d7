"""An arm against the baseline over the tasks that both played: counts of pairs, differences with intervals, a p-value."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from exprag.evaluation.clusters import sign_test
from exprag.evaluation.groups import group_names, groups_of
from exprag.evaluation.measures import differences_of
from exprag.evaluation.pairing import Pairing, pair
from exprag.evaluation.results import RunResult
from exprag.evaluation.statistics import Difference, Paired, mcnemar, paired_means, paired_rates
from exprag.trajectory import Trajectory


@dataclass(frozen=True)
class Contrast:
    """An arm against the baseline over the tasks that both played. Differences are arm − baseline.

    `p_value` is McNemar's exact one where each task has one pair; where it has several, tasks change sign as wholes
    (`exprag.evaluation.clusters.sign_test`), and the interval of `success` is a cluster bootstrap's. `measures` holds the
    difference of every measure that both arms carry. `only_arm` and `only_baseline` count the episodes without a counterpart:
    they are in the metrics of their arm, and in no difference.
    """

    paired: Paired
    tasks: int
    only_arm: int
    only_baseline: int
    success: Difference
    p_value: float
    score: Difference
    steps: Difference
    measures: dict[str, Difference] = field(default_factory=dict)


@dataclass(frozen=True)
class Comparison:
    """All contrasts of one arm with the baseline: in all, by task type, by groups of types (easy, hard) and by split.

    `p_holm` is the p-value of the whole, adjusted for the number of comparisons of the report (Holm 1979).
    """

    arm: str
    baseline: str
    total: Contrast
    types: dict[str, Contrast]
    groups: dict[str, Contrast] = field(default_factory=dict)
    splits: dict[str, Contrast] = field(default_factory=dict)
    p_holm: float | None = None


def comparison(arm: RunResult, baseline: RunResult) -> Comparison:
    """All contrasts of two runs."""
    pairing = pair(arm.episodes, baseline.episodes)
    tasks = [episode.task for episode in (*arm.episodes, *baseline.episodes)]
    types = _parts(pairing, lambda episode: (episode.task.type,))
    groups = _parts(pairing, lambda episode: groups_of(episode.task))
    splits = _parts(pairing, lambda episode: (episode.task.split,))
    total = contrast(pairing)

    def part(of: Pairing) -> Contrast:
        return total if of.sizes == pairing.sizes else contrast(of)  # its intervals take a while

    return Comparison(
        arm.name,
        baseline.name,
        total,
        {name: part(types[name]) for name in sorted(types)},
        {name: part(groups[name]) for name in group_names(tasks)},
        {name: part(splits[name]) for name in sorted(splits)},
    )


def contrast(pairing: Pairing) -> Contrast:
    """The paired statistics of a pairing."""
    outcomes = [(ours.success is True, theirs.success is True) for ours, theirs in pairing.pairs]
    paired = Paired.of(outcomes)
    tasks = [ours.task.key for ours, _ in pairing.pairs]
    measures = differences_of(pairing.pairs)
    none = Difference(0, None, None)
    once = len(set(tasks)) == len(tasks)
    return Contrast(
        paired=paired,
        tasks=len(set(tasks)),
        only_arm=len(pairing.only_arm),
        only_baseline=len(pairing.only_baseline),
        success=success_difference(outcomes, tasks, measures["success"] if not once else None),
        p_value=mcnemar(paired.arm_only, paired.baseline_only)
        if once
        else sign_test([int(ours) - int(theirs) for ours, theirs in outcomes], tasks),
        score=measures.get("score", none),
        steps=measures.get("steps", none),
        measures={name: measure for name, measure in measures.items() if name != "success"},
    )


def success_difference(
    outcomes: Sequence[tuple[bool, bool]], tasks: Sequence[str], drawn: Difference | None = None
) -> Difference:
    """The difference of success over pairs of outcomes (arm, baseline), `tasks` naming the task of each.

    By Newcombe's interval; where tasks have several pairs by the cluster bootstrap, `drawn` where it is known. Where that has no
    interval because all tasks differ alike, and every repetition of a task came out alike, by Newcombe's over the tasks."""
    if len(set(tasks)) == len(tasks):
        return paired_rates(Paired.of(outcomes))
    drawn = drawn or paired_means([arm - baseline for arm, baseline in outcomes], tasks)
    by_task = dict(zip(tasks, outcomes, strict=True))
    if drawn.interval is not None or any(by_task[task] != outcome for task, outcome in zip(tasks, outcomes, strict=True)):
        return drawn
    return Difference(drawn.n, drawn.estimate, paired_rates(Paired.of(by_task.values())).interval)


def _parts(pairing: Pairing, names_of: Callable[[Trajectory], Iterable[str]]) -> dict[str, Pairing]:
    """The pairing of each part of the episodes."""
    lists: dict[str, tuple[list[tuple[Trajectory, Trajectory]], list[Trajectory], list[Trajectory]]]
    lists = defaultdict(lambda: ([], [], []))
    for ours, theirs in pairing.pairs:
        for name in names_of(ours):
            lists[name][0].append((ours, theirs))
    for index, alone in ((1, pairing.only_arm), (2, pairing.only_baseline)):
        for episode in alone:
            for name in names_of(episode):
                lists[name][index].append(episode)  # type: ignore[arg-type]
    return {name: Pairing(tuple(pairs), tuple(ours), tuple(theirs)) for name, (pairs, ours, theirs) in lists.items()}
