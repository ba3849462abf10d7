"""Arms side by side: metrics by task type, and each arm against the baseline, task by task.

`compare` gathers everything into a Report, plain data without formatting; `exprag.evaluation.render` writes it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from exprag.errors import ConfigError, closest
from exprag.evaluation.causes import Losses, losses_of
from exprag.evaluation.contrasts import Comparison, comparison
from exprag.evaluation.credit import Credit, credit_of
from exprag.evaluation.groups import group_names, groups_of
from exprag.evaluation.metrics import Metrics, by_type, measure
from exprag.evaluation.notes import notes_on
from exprag.evaluation.recalled import refresh_of
from exprag.evaluation.redaction import redacted
from exprag.evaluation.refusals import why_not_paired
from exprag.evaluation.results import RunResult, distinct
from exprag.evaluation.statistics import holm
from exprag.trajectory import Trajectory

if TYPE_CHECKING:
    from rich.console import RenderableType


@dataclass(frozen=True)
class Arm:
    """One run's configuration (credentials hidden), versions and metrics: in all, by task type, by groups of types (easy, hard)
    and by split.

    `refresh` says when the bank was asked, also where the configuration leaves it to the query strategy; None without memory. Of
    a matrix `arm` is the arm's own name, `scope` the tasks it was played on, and `seeds` the seeds that are put together here.
    """

    name: str
    config: dict[str, Any]
    versions: dict[str, Any]
    total: Metrics
    types: dict[str, Metrics]
    refresh: str | None = None
    arm: str = ""
    scope: str = ""
    index_state: str | None = None
    seeds: tuple[int, ...] = ()
    groups: dict[str, Metrics] = field(default_factory=dict)
    splits: dict[str, Metrics] = field(default_factory=dict)


@dataclass(frozen=True)
class Refusal:
    """Two arms that were not compared, and why."""

    arm: str
    baseline: str
    reason: str

    def __str__(self) -> str:
        return f"{self.arm} was not compared with {self.baseline}: {self.reason}"


@dataclass(frozen=True)
class Audited:
    """What the audit of an arm's runs says: episodes, recalls, and those that should not have been; or why none was possible."""

    arm: str
    checked: int = 0
    recalls: int = 0
    offences: tuple[str, ...] = ()
    problem: str = ""


@dataclass(frozen=True)
class Picture:
    """A figure that the page shows beside the results: a PNG, and its numbers as a table."""

    title: str
    png: bytes
    caption: str = ""
    head: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()


@dataclass(frozen=True)
class Report:
    """The arms in the order given, the comparisons with the baseline, and what a reader has to know about them."""

    arms: tuple[Arm, ...]
    baseline: str | None
    types: tuple[str, ...]
    comparisons: tuple[Comparison, ...]
    notes: tuple[str, ...]
    losses: tuple[Losses, ...] = ()
    credit: tuple[Credit, ...] = ()
    groups: tuple[str, ...] = ()
    refusals: tuple[Refusal, ...] = ()
    audits: tuple[Audited, ...] = ()
    runs: tuple[RunResult, ...] = field(default=(), compare=False, repr=False)
    """The runs that it tells of, for the page; not part of its data."""
    pictures: tuple[Picture, ...] = field(default=(), compare=False, repr=False)
    """Figures for the page; not part of its data."""

    def to_dict(self) -> dict[str, Any]:
        """Plain data: everything but the episodes."""
        data = asdict(replace(self, runs=(), pictures=()))
        del data["runs"], data["pictures"]
        return data

    def to_json(self) -> str:
        return json.dumps(self.to_dict(), indent=2, allow_nan=False)

    def to_console(self) -> RenderableType:
        """For `rich.console.Console.print`."""
        from exprag.evaluation.render import console

        return console(self)

    def to_markdown(self) -> str:
        from exprag.evaluation.render import markdown

        return markdown(self)

    def table(self) -> list[dict[str, Any]]:
        """One row for each measure of each arm, and for each difference from the baseline, in all and by part: see
        `exprag.evaluation.table`."""
        from exprag.evaluation.table import rows

        return rows(self)

    def to_frame(self) -> Any:
        """`table()` as a pandas.DataFrame. Raises PluginError without pandas."""
        from exprag.evaluation.table import frame

        return frame(self)

    def to_csv(self, path: str | Path | None = None) -> str:
        """`table()` as CSV text, also written to the file where one is named."""
        from exprag.evaluation.table import csv

        return csv(self, path)

    def to_html(self, path: str | Path, banks: Sequence[str] = ()) -> Path:
        """Write the page on which every episode can be read, as one file; returns its path. `banks`: as for `read_recalled`."""
        from exprag.evaluation.page import write
        from exprag.evaluation.recalled import read_recalled

        recalled, _ = read_recalled([part for run in self.runs for part in (run.parts or (run,))], banks)
        return write(path, self, recalled)

    def _repr_html_(self) -> str:
        """What a notebook shows."""
        from exprag.evaluation.render import notebook

        return notebook(self)


def compare(
    runs: Sequence[RunResult], baseline: str | None = None, *, common_tasks: bool = False, strict: bool = True
) -> Report:
    """Compare arms; each against the baseline: the arm of that name, or else the one agent without a bank.

    Runs whose tasks, environment or step limits differ are not paired, and the report says why; `common_tasks`: those whose tasks
    differ are compared over the tasks that both played. Raises ConfigError for no run, an unknown baseline, or where it has to be
    named; unless `strict`, the last is a note and nothing is compared.
    """
    if not runs:
        raise ConfigError("There is no run to report.", cure="Give at least one run directory.")
    named = distinct(runs)
    bases, notes = _baselines(named, baseline, strict)
    comparisons, refusals = [], []
    for run in named:
        base = bases.get(run.scope)
        if base is None or run is base:
            continue
        if reason := why_not_paired(run, base, common_tasks=common_tasks):
            refusals.append(Refusal(run.name, base.name, reason))
        else:
            comparisons.append(comparison(run, base))
    if len(comparisons) > 1:
        adjusted = holm([each.total.p_value for each in comparisons])
        comparisons = [replace(each, p_holm=p) for each, p in zip(comparisons, adjusted, strict=True)]
    tasks = [episode.task for run in named for episode in run.episodes]
    arms = tuple(_arm(run) for run in named)
    return Report(
        arms=arms,
        baseline=_shared_name(bases),
        types=tuple(sorted({task.type for task in tasks})),
        comparisons=tuple(comparisons),
        notes=(*notes, *map(str, refusals), *notes_on(named, comparisons, [arm.total for arm in arms])),
        losses=tuple(losses_of(named)),
        credit=tuple(credit_of(named)),
        groups=tuple(group_names(tasks)),
        refusals=tuple(refusals),
        runs=tuple(named),
    )


def _arm(run: RunResult) -> Arm:
    groups = {
        name: [episode for episode in run.episodes if name in groups_of(episode.task)]
        for name in group_names(episode.task for episode in run.episodes)
    }
    splits: dict[str, Any] = {}
    for episode in run.episodes:
        splits.setdefault(episode.task.split, []).append(episode)
    total = measure(run.episodes)

    def part(episodes: Sequence[Trajectory]) -> Metrics:
        return total if len(episodes) == len(run.episodes) else measure(episodes)  # its intervals take a while

    return Arm(
        run.name,
        redacted(run.config),
        run.versions,
        total,
        {type_: part(group) for type_, group in by_type(run.episodes).items()},
        refresh_of(run),
        run.arm or run.name,
        run.scope,
        run.index_state,
        run.seeds,
        {name: part(group) for name, group in groups.items()},
        {name: part(splits[name]) for name in sorted(splits)},
    )


def _baselines(runs: list[RunResult], name: str | None, strict: bool) -> tuple[dict[str, RunResult], list[str]]:
    """The baseline of each scope that has one, and a note for each that has not."""
    by_scope: dict[str, list[RunResult]] = {}
    for run in runs:
        by_scope.setdefault(run.scope, []).append(run)
    names = list(dict.fromkeys(each for run in runs for each in (run.name, run.arm) if each))
    if name is not None and name not in names:
        raise ConfigError(f"There is no arm {name!r} to be the baseline.", cure=closest(name, names))
    bases: dict[str, RunResult] = {}
    notes = []
    for scope, members in by_scope.items():
        try:
            base = _baseline(members, name)
        except ConfigError as error:
            if strict:
                raise
            notes.append(f"{scope}: {error}".removeprefix(": "))
            continue
        if base is not None:
            bases[scope] = base
        elif len(members) > 1:
            notes.append(f"{scope}: the baseline {name!r} has not been played, so that nothing is compared.".removeprefix(": "))
    return bases, notes


def _baseline(runs: list[RunResult], name: str | None) -> RunResult | None:
    if name is not None:
        return next((run for run in runs if name in (run.name, run.arm)), None)
    if len(runs) == 1:
        return None
    without = [run for run in runs if run.is_agent and not run.has_memory]
    if len(without) != 1:
        reason = f"{len(without)} arms have no bank" if without else "no agent without a bank is among the arms"
        names = ", ".join(dict.fromkeys(run.arm or run.name for run in runs))
        raise ConfigError(f"The baseline is not clear: {reason}.", cure=f"Name it with --baseline: {names}.")
    return without[0]


def _shared_name(bases: dict[str, RunResult]) -> str | None:
    """The name by which the baselines of all scopes are called: of a single one its own."""
    names = dict.fromkeys(base.name if len(bases) == 1 else base.arm or base.name for base in bases.values())
    return next(iter(names)) if len(names) == 1 else None
