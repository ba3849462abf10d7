"""A paper's tables played again: `reproduce`, and what comes of it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from exprag.errors import ExpragError
from exprag.evaluation.matrices import load_matrix
from exprag.evaluation.report import Report
from exprag.evaluation.reporting import report_on
from exprag.reproduce.epoch_figure import draw_epochs
from exprag.reproduce.epochs import fill_epochs, play_epochs
from exprag.reproduce.filling import FilledTable, fill, like
from exprag.reproduce.plan import Plan
from exprag.reproduce.training import finished_adapters, specs_of, train_adapters
from exprag.runs.matrix_play import play_matrix

if TYPE_CHECKING:
    from rich.console import RenderableType

    from exprag.runs.matrix_play import MatrixProgress

@dataclass(frozen=True)
class Reproduction:
    """The tables, and the report of the runs behind them."""

    plan: Plan
    tables: tuple[FilledTable, ...]
    report: Report
    figure: Path | None = None
    """The figure of success and loss by epoch, where adapters were trained."""

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
    epochs_progress: Callable[[str, int, int], None] | None = None,
) -> Reproduction:
    """Play what is missing of a plan in the folder `out`, and fill its tables.

    `paper_model`: whose figures of the paper stand beside ours; default: the model that is played where the paper has it, else
    the paper's main model. `train`: also train the adapters that the tables need, play their arms, and their checkpoints where a
    figure shows them; arms whose adapters were trained there before are played in any case. The same call after an interruption
    completes it.
    """
    adapters = finished_adapters(plan, out)
    if plan.with_adapters is not None and adapters:
        plan = plan.with_adapters(specs_of(plan, adapters))
    play_matrix(plan.matrix, out, part=True, retry_errors=retry_errors, progress=progress)
    if train and plan.with_adapters is not None and len(adapters) < len(plan.kinds):
        train_adapters(plan, out, training_progress)
        plan = plan.with_adapters(specs_of(plan, finished_adapters(plan, out)))
        play_matrix(plan.matrix, out, part=True, retry_errors=retry_errors, progress=progress)
    problems = play_epochs(plan, out, epochs_progress) if train else []
    report = report_on([out])
    report = replace(report, notes=(*plan.notes, *problems, *report.notes))
    runs, model = load_matrix(out).runs, paper_model or like(plan)
    tables, drawn = [], None
    for table in plan.tables:
        if not table.courses:
            tables.append(fill(table, runs, model))
        elif filled := fill_epochs(plan, table, runs, out):
            tables.append(filled)
            try:
                drawn, picture = draw_epochs(filled, Path(out).expanduser() / f"{table.name}.png")
                report = replace(report, pictures=(*report.pictures, picture))
            except ExpragError as error:  # the tables are there without it
                report = replace(report, notes=(*report.notes, f"{table.title}: there is no figure. {error}"))
    return Reproduction(plan, tuple(tables), report, drawn)
