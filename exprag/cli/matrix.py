"""`exprag matrix`: arms × index states × seeds × tasks of one file, played, compared and reported."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn

from exprag.cli.options import AllowCode
from exprag.cli.output import console, say
from exprag.cli.progress import LateBar
from exprag.cli.report import Csv, Html, Markdown, one_format, show
from exprag.cli.standing import duration
from exprag.cli.words import Json, out, path
from exprag.text import printable

if TYPE_CHECKING:
    from exprag.runs.matrix_play import MatrixProgress, Progress

MatrixOut = Annotated[Path, out("Folder of the matrix; an interrupted one is continued.")]
Retry = Annotated[bool, Parameter(name="--retry-errors", help="Play episodes that ended in an error again.")]


def matrix(
    file: Annotated[Path, path("TOML or JSON file that names arms, index states, seeds and tasks.")],
    /,
    *,
    out: MatrixOut,
    allow_code: AllowCode = False,
    retry_errors: Retry = False,
    dry_run: Annotated[bool, Parameter(name="--dry-run", help="List the cells, and play nothing.")] = False,
    html: Html = None,
    csv: Csv = None,
    as_json: Json = False,
    markdown: Markdown = False,
) -> None:
    """Play a matrix of runs and report on it."""
    one_format(as_json, markdown)
    from exprag.evaluation import evaluate
    from exprag.runs.matrix import Matrix

    plan = Matrix.read(file, allow_code=allow_code)
    if dry_run:
        for cell in plan.cells:
            say(cell.folder)
        return
    with matrix_bar() as progress:
        report = evaluate(plan, out, retry_errors=retry_errors, progress=progress)
    show(report, html=html, csv=csv, as_json=as_json, markdown=markdown)


@contextmanager
def matrix_bar() -> Iterator[Progress]:
    """A bar over all episodes of a matrix: the part that is played, success so far, and the time that is left."""
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[note]}", markup=False),
    )
    with LateBar(*columns, console=console(stderr=True)) as bar:
        task = bar.add_task("matrix", total=None, note="starting")

        def update(state: MatrixProgress) -> None:
            left = f"{duration(state.seconds_left)} left" if state.seconds_left is not None else ""
            won = f"{state.won}/{state.played} successful" if state.played else ""
            note = ", ".join(text for text in (won, left) if text)
            part = f"{state.number}/{state.parts} {printable(state.part)}"
            bar.update(task, description=part, completed=state.episodes, total=state.total, note=note)

        yield update
