"""The tables of a paper filled with the figures of the episodes that were played, beside the paper's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from exprag.evaluation.measures import Measure, measures_of
from exprag.evaluation.results import RunResult
from exprag.reproduce.plan import HALVES, Figure, Plan, Table
from exprag.trajectory import Trajectory

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
    course: str = ""
    """Of a row that is an epoch: the label of the adapter's arm."""
    epoch: float | None = None
    losses: dict[str, float] = field(default_factory=dict)
    """Its validation loss on easy and on hard tasks, in nats a token."""


@dataclass(frozen=True)
class FilledTable:
    """A table of the paper with our figures in it."""

    name: str
    title: str
    source: str
    model: str
    """The model of the paper whose figures stand beside ours."""
    rows: tuple[Row, ...]


def fill(table: Table, runs: Sequence[RunResult], model: str) -> FilledTable:
    """The table with the figures of these runs, and those of this model in the paper."""
    rows = []
    for row in table.rows:
        of_row = [run for run in runs if (run.arm, run.index_state) == (row.arm, row.index_state) and run.episodes]
        figure = next((figure for figure in row.figures if figure.model == model), None)
        cells = cells_of({run.scope: run.episodes for run in of_row}, figure)
        rows.append(Row(row.label, cells, bool(of_row)))
    return FilledTable(table.name, table.title, table.source, model, tuple(rows))


def cells_of(episodes: Mapping[str, Sequence[Trajectory]], figure: Figure | None) -> dict[str, Cell]:
    """The figures for each half of the tasks, where it was played or the paper has one, and for all of them."""
    parts = {**episodes, "all": [episode for half in episodes.values() for episode in half]} if episodes else {}
    there = {*parts, *(figure.values if figure else ())}
    return {part: _cell(parts.get(part, []), figure, part) for part in PARTS if part in there}


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
