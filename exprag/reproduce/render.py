"""A reproduction as rich tables and as Markdown."""

from __future__ import annotations

from typing import TYPE_CHECKING

from exprag.evaluation.render import NONE, limits, number, percent
from exprag.text import printable

if TYPE_CHECKING:
    from rich.console import RenderableType

    from exprag.reproduce.filling import Cell, FilledTable
    from exprag.reproduce.result import Reproduction

PARTS = ("easy", "hard", "all")


def console(result: Reproduction) -> RenderableType:
    """The tables, ours beside the paper's, and what has to be known about them."""
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    parts: list[RenderableType] = []
    for filled in result.tables:
        table = Table(title=filled.title, title_justify="left", title_style="bold", box=None, header_style="dim", pad_edge=False)
        for index, label in enumerate(head_of(filled)):
            table.add_column(Text(label), justify="right" if index else "left")
        for row in rows_of(filled):
            table.add_row(*(Text(printable(cell)) for cell in row))
        parts += [table, Text(_source(filled), "dim"), Text()]
    return Group(*parts, *(Text(printable(line)) for line in _lines(result)))


def markdown(result: Reproduction) -> str:
    """The same as GitHub-flavoured Markdown."""
    lines: list[str] = []
    for filled in result.tables:
        head = head_of(filled)
        lines += [f"**{filled.title}**", "", _line(head), "|---|" + "---:|" * (len(head) - 1), *map(_line, rows_of(filled))]
        lines += ["", _source(filled), ""]
    return "\n".join([*lines, *(f"* {printable(line)}" for line in _lines(result))]) + "\n"


def _columns(table: FilledTable) -> list[tuple[str, bool]]:
    """The columns that hold something: a part of the tasks, and whether it is the paper's figure."""
    columns = []
    for part in PARTS:
        cells = [row.cells[part] for row in table.rows if part in row.cells]
        columns += [(part, False)] if any(cell.ours.n for cell in cells) else []
        columns += [(part, True)] if any(cell.paper is not None for cell in cells) else []
    return columns


def head_of(table: FilledTable) -> list[str]:
    names = [f"{part}, paper" if paper else part for part, paper in _columns(table)]
    return ["", *names, *(["score"] if _scored(table) else []), *(f"validation loss, {half}" for half in _losses(table))]


def rows_of(table: FilledTable) -> list[list[str]]:
    rows = []
    for row in table.rows:
        cells = [row.label if row.played else f"{row.label} (not played)"]
        for part, paper in _columns(table):
            cell = row.cells.get(part)
            cells.append(NONE if cell is None else _paper(cell) if paper else _ours(cell))
        if _scored(table):
            cells.append(number(row.cells["all"].score.mean, 3) if "all" in row.cells else NONE)
        rows.append([*cells, *(number(row.losses.get(half), 3) for half in _losses(table))])
    return rows


def _losses(table: FilledTable) -> list[str]:
    """The halves of the tasks whose loss was measured."""
    return [part for part in PARTS if any(part in row.losses for row in table.rows)]


def _source(table: FilledTable) -> str:
    """Where the paper's figures are from, and whose they are."""
    shown = any(paper for _, paper in _columns(table))
    return f"{table.source}{f' (paper: {table.model})' if shown else ''}."


def _ours(cell: Cell) -> str:
    if not cell.ours.n:
        return NONE
    return f"{cell.solved}/{cell.ours.n} {percent(cell.ours.mean)} [{limits(cell.ours.interval)}]"


def _paper(cell: Cell) -> str:
    if cell.paper is None:
        return NONE
    return f"{'~' if cell.about else ''}{100 * cell.paper:.1f}{' ≠' if cell.differs else ''}"


def _scored(table: FilledTable) -> bool:
    """Whether scores say more than success: some episode got a part of it."""
    return any("all" in row.cells and row.cells["all"].score.mean != row.cells["all"].ours.mean for row in table.rows)


def _lines(result: Reproduction) -> list[str]:
    from exprag.evaluation.render import audit_lines

    plan = result.plan
    lines = [f"Played: {plan.environment} with {plan.model}, scale {plan.scale}. Success in per cent, 95 % interval in brackets."]
    lines += [f"Outside our interval (≠): {line}" for line in result.different]
    if result.left_out:
        lines.append(f"Not played, because it needs training: {'; '.join(result.left_out)}.")
    if result.figure:
        lines.append(f"Success and validation loss by epoch, drawn: {result.figure}")
    return [*lines, *audit_lines(result.report), *(f"Note. {note}" for note in result.report.notes)]


def _line(cells: list[str]) -> str:
    return "| " + " | ".join(printable(cell).replace("|", "\\|") for cell in cells) + " |"
