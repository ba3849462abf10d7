"""Arms side by side: metrics by task type, and each arm against the baseline, task by task.

`compare` gathers everything into a Report, plain data without formatting; `exprag.evaluation.render` writes it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from exprag.errors import ConfigError, closest
from exprag.evaluation.metrics import Metrics, by_type, measure
from exprag.evaluation.notes import notes_on
from exprag.evaluation.pairing import Pairing, pair
from exprag.evaluation.recalled import refresh_of
from exprag.evaluation.redaction import redacted
from exprag.evaluation.results import RunResult, distinct
from exprag.evaluation.statistics import Difference, Paired, mcnemar, paired_means, paired_rates
from exprag.trajectory import Trajectory

if TYPE_CHECKING:
    from rich.console import RenderableType


@dataclass(frozen=True)
class Arm:
    """One run's configuration (credentials hidden), versions and metrics: in all, and by task type.

    `refresh` says when the bank was asked, also where the configuration leaves it to the query strategy; None without memory.
    """

    name: str
    config: dict[str, Any]
    versions: dict[str, Any]
    total: Metrics
    types: dict[str, Metrics]
    refresh: str | None = None


@dataclass(frozen=True)
class Contrast:
    """An arm against the baseline over the tasks that both played. Differences are arm − baseline; `p_value` is McNemar's.

    `only_arm` and `only_baseline` count the episodes without a counterpart: they are in the metrics of their arm, and in no
    difference.
    """

    paired: Paired
    tasks: int
    only_arm: int
    only_baseline: int
    success: Difference
    p_value: float
    score: Difference
    steps: Difference


@dataclass(frozen=True)
class Comparison:
    """All contrasts of one arm with the baseline."""

    arm: str
    baseline: str
    total: Contrast
    types: dict[str, Contrast]


@dataclass(frozen=True)
class Report:
    """The arms in the order given, the comparisons with the baseline, and what a reader has to know about them."""

    arms: tuple[Arm, ...]
    baseline: str | None
    types: tuple[str, ...]
    comparisons: tuple[Comparison, ...]
    notes: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    def to_json(self) -> str:
        return json.dumps(self.to_dict(), indent=2, allow_nan=False)

    def to_console(self) -> RenderableType:
        """For `rich.console.Console.print`."""
        from exprag.evaluation.render import console

        return console(self)

    def to_markdown(self) -> str:
        from exprag.evaluation.render import markdown

        return markdown(self)


def compare(runs: Sequence[RunResult], baseline: str | None = None) -> Report:
    """Compare arms; each against the baseline: the arm of that name, or else the one agent without a bank.

    Raises ConfigError for no run, an unknown baseline, or where it has to be named.
    """
    if not runs:
        raise ConfigError("There is no run to report.", cure="Give at least one run directory.")
    named = distinct(runs)
    base = _baseline(named, baseline)
    comparisons = tuple(_comparison(run, base) for run in named if base is not None and run is not base)
    return Report(
        arms=tuple(
            Arm(
                run.name,
                redacted(run.config),
                run.versions,
                measure(run.episodes),
                {type_: measure(group) for type_, group in by_type(run.episodes).items()},
                refresh_of(run),
            )
            for run in named
        ),
        baseline=base.name if base else None,
        types=tuple(sorted({episode.task.type for run in named for episode in run.episodes})),
        comparisons=comparisons,
        notes=tuple(notes_on(named, comparisons)),
    )


def _baseline(runs: list[RunResult], name: str | None) -> RunResult | None:
    names = [run.name for run in runs]
    if name is not None:
        if name not in names:
            raise ConfigError(f"There is no arm {name!r} to be the baseline.", cure=closest(name, names))
        return runs[names.index(name)]
    if len(runs) == 1:
        return None
    without = [run for run in runs if run.is_agent and not run.has_memory]
    if len(without) != 1:
        reason = f"{len(without)} arms have no bank" if without else "no agent without a bank is among the arms"
        raise ConfigError(f"The baseline is not clear: {reason}.", cure=f"Name it with --baseline: {', '.join(names)}.")
    return without[0]


def _comparison(arm: RunResult, baseline: RunResult) -> Comparison:
    pairing = pair(arm.episodes, baseline.episodes)
    groups: dict[str, tuple[list[Any], list[Trajectory], list[Trajectory]]] = {}
    for type_ in sorted({e.task.type for e in (*arm.episodes, *baseline.episodes)}):
        groups[type_] = ([], [], [])
    for ours, theirs in pairing.pairs:
        groups[ours.task.type][0].append((ours, theirs))
    for index, alone in ((1, pairing.only_arm), (2, pairing.only_baseline)):
        for episode in alone:
            groups[episode.task.type][index].append(episode)
    types = {t: contrast(Pairing(tuple(p), tuple(a), tuple(b))) for t, (p, a, b) in groups.items()}
    return Comparison(arm.name, baseline.name, contrast(pairing), types)


def contrast(pairing: Pairing) -> Contrast:
    """The paired statistics of a pairing."""
    outcomes = [(ours.success is True, theirs.success is True) for ours, theirs in pairing.pairs]
    paired = Paired(*(outcomes.count(cell) for cell in ((True, True), (True, False), (False, True), (False, False))))
    scored = [
        (ours.task.key, ours.score - theirs.score)
        for ours, theirs in pairing.pairs
        if ours.score is not None and theirs.score is not None
    ]
    tasks = [ours.task.key for ours, _ in pairing.pairs]
    return Contrast(
        paired=paired,
        tasks=len(set(tasks)),
        only_arm=len(pairing.only_arm),
        only_baseline=len(pairing.only_baseline),
        success=paired_rates(paired),
        p_value=mcnemar(paired.arm_only, paired.baseline_only),
        score=paired_means([gap for _, gap in scored], [key for key, _ in scored]),
        steps=paired_means([len(ours.steps) - len(theirs.steps) for ours, theirs in pairing.pairs], tasks),
    )
