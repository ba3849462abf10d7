"""Ours beside the paper's: the tables filled from the episodes that were played."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from exprag.evaluation.matrices import load_matrix
from exprag.evaluation.measures import Measure, measures_of
from exprag.evaluation.report import Report
from exprag.evaluation.reporting import report_on
from exprag.evaluation.results import RunResult
from exprag.reproduce.plan import HALVES, Figure, Plan, Table
from exprag.reproduce.training import finished_adapters, train_adapters
from exprag.runs.matrix_play import play_matrix
from exprag.trajectory import Trajectory

if TYPE_CHECKING:
    from rich.console import RenderableType

    from exprag.runs.matrix_play import MatrixProgress

MAIN_MODEL = "Ministral-3-8B"
PARTS = (*HALVES, "all")


@dataclass(frozen=True)
class Cell:
    """One figure: ours with its interval (rates in [0, 1]), the paper's beside it, and whether it lies outside our interval."""

    ours: Measure
    solved: int = 0
    score: Measure = field(default_factory=Measure)
    paper: float | None = None
    about: bool = False

    @property
    def differs(self) -> bool:
        limits = self.ours.interval
        return self.paper is not None and limits is not None and not limits.low <= self.paper <= limits.high


@dataclass(frozen=True)
class Row:
    """A row with its figures for easy tasks, hard tasks, and all; none where the arm was not played."""

    label: str
    cells: dict[str, Cell]
    played: bool = True


@dataclass(frozen=True)
class FilledTable:
    """A table of the paper with our figures in it."""

    name: str
    title: str
    source: str
    model: str
    """The model of the paper whose figures stand beside ours."""
    rows: tuple[Row, ...]


@dataclass(frozen=True)
class Reproduction:
    """The tables, and the report of the runs behind them."""

    plan: Plan
    tables: tuple[FilledTable, ...]
    report: Report

    @property
    def different(self) -> list[str]:
        """A sentence for each figure of the paper that lies outside the interval of ours."""
        from exprag.evaluation.render import limits, percent

        return [
            f"{table.title}, {row.label}, {part}: {percent(cell.ours.mean)} [{limits(cell.ours.interval)}] here, "
            f"{'about ' if cell.about else ''}{100 * (cell.paper or 0):.1f} % in the paper ({table.model})."
            for table in self.tables
            for row in table.rows
            for part, cell in row.cells.items()
            if cell.differs
        ]

    @property
    def left_out(self) -> list[str]:
        """The arms of the tables that were not played, because they need training."""
        return list(dict.fromkeys(label for table in self.plan.tables for label in table.left_out))

    def to_dict(self) -> dict[str, Any]:
        """Plain data: the tables, what differs, and the report."""
        tables = [asdict(table) for table in self.tables]
        return {
            **{name: getattr(self.plan, name) for name in ("paper", "environment", "model", "scale")},
            "tables": tables,
            "different": self.different,
            "left_out": self.left_out,
            "notes": list(self.plan.notes),
            "report": self.report.to_dict(),
        }

    def to_json(self) -> str:
        return json.dumps(self.to_dict(), indent=2, allow_nan=False)

    def to_console(self) -> RenderableType:
        """For `rich.console.Console.print`."""
        from exprag.reproduce.render import console

        return console(self)

    def to_markdown(self) -> str:
        from exprag.reproduce.render import markdown

        return markdown(self)


def reproduce(
    plan: Plan,
    out: str | Path,
    *,
    paper_model: str | None = None,
    train: bool = False,
    retry_errors: bool = False,
    progress: Callable[[MatrixProgress], None] | None = None,
    training_progress: Callable[[str, int, int], None] | None = None,
) -> Reproduction:
    """Play what is missing of a plan in the folder `out`, and fill its tables.

    `paper_model`: whose figures of the paper stand beside ours; default: the model that is played where the paper has it, else
    the paper's main model. `train`: also train the adapters that the tables need, and play their arms; those that were trained
    there before are played in any case. The same call after an interruption completes it.
    """
    adapters = finished_adapters(plan, out)
    if plan.with_adapters is not None and adapters:
        plan = plan.with_adapters(adapters)
    play_matrix(plan.matrix, out, part=True, retry_errors=retry_errors, progress=progress)
    if train and plan.with_adapters is not None and len(adapters) < len(plan.kinds):
        plan = plan.with_adapters(train_adapters(plan, out, training_progress))
        play_matrix(plan.matrix, out, part=True, retry_errors=retry_errors, progress=progress)
    report = report_on([out])
    report = replace(report, notes=(*plan.notes, *report.notes))
    runs, model = load_matrix(out).runs, paper_model or like(plan)
    return Reproduction(plan, tuple(fill(table, runs, model) for table in plan.tables), report)


def fill(table: Table, runs: Sequence[RunResult], model: str) -> FilledTable:
    """The table with the figures of these runs, and those of this model in the paper."""
    rows = []
    for row in table.rows:
        of_row = [run for run in runs if (run.arm, run.index_state) == (row.arm, row.index_state) and run.episodes]
        parts = {run.scope: list(run.episodes) for run in of_row}
        if of_row:
            parts["all"] = [episode for run in of_row for episode in run.episodes]
        figure = next((figure for figure in row.figures if figure.model == model), None)
        there = {*parts, *(figure.values if figure else ())}
        cells = {part: _cell(parts.get(part, []), figure, part) for part in PARTS if part in there}
        rows.append(Row(row.label, cells, bool(of_row)))
    return FilledTable(table.name, table.title, table.source, model, tuple(rows))


def _cell(episodes: Sequence[Trajectory], figure: Figure | None, part: str) -> Cell:
    measures = measures_of(episodes)
    paper = figure.values.get(part) if figure else None
    return Cell(
        measures.get("success", Measure()),
        sum(episode.success is True for episode in episodes),
        measures.get("score", Measure()),
        None if paper is None else paper / 100,
        bool(figure and figure.about),
    )


def like(plan: Plan, main: str = MAIN_MODEL) -> str:
    """The model of the paper that the played one is, by its name; else the main one."""
    spec = plan.model.lower()
    models = {figure.model for table in plan.tables for row in table.rows for figure in row.figures}
    matches = [model for model in models if _words(model) <= _words(spec)]
    return max(matches, key=len, default=main)


def _words(text: str) -> set[str]:
    return set(text.lower().replace("/", "-").replace(":", "-").split("-"))
