"""The figure of success and validation loss by epoch, easy tasks beside hard ones (ExpRAG, figures 3 and 4)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from exprag.evaluation.report import Picture
from exprag.figures import save_figure
from exprag.reproduce.filling import FilledTable, Row
from exprag.reproduce.plan import HALVES
from exprag.reproduce.render import head_of, rows_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

CAPTION = (
    "Bands are 95 % intervals. Epoch 0 is the model without an adapter. Losses are of the expert's episodes on the same tasks, "
    "which no adapter was trained on."
)


def draw_epochs(table: FilledTable, png: Path) -> tuple[Path, Picture]:
    """Write the figure of a table whose rows are epochs; its path, and what a report's page shows of it.

    Raises ConfigError without matplotlib, RunError where it cannot be written.
    """
    save_figure(lambda: _figure(table), png, "train")
    return png, Picture(table.title, png.read_bytes(), CAPTION, tuple(head_of(table)), tuple(map(tuple, rows_of(table))))


def _figure(table: FilledTable) -> Figure:
    from matplotlib.figure import Figure

    with_losses = any(row.losses for row in table.rows)
    figure = Figure(figsize=(11, 7 if with_losses else 4), layout="constrained")
    panels = figure.subplots(2 if with_losses else 1, len(HALVES), squeeze=False, sharex=True, sharey="row")
    courses = list(dict.fromkeys(row.course for row in table.rows))
    for column, half in enumerate(HALVES):
        for number, course in enumerate(courses):
            rows = [row for row in table.rows if row.course == course]
            _draw_success(panels[0][column], rows, half, f"C{number}")
            if with_losses:
                points = [(row.epoch, row.losses[half]) for row in rows if half in row.losses]
                panels[1][column].plot(*zip(*points, strict=True) if points else ((), ()), label=course, **_look(f"C{number}"))
        panels[0][column].set_title(f"{half} tasks")
        panels[0][column].set_ylim(-2, 102)
        panels[-1][column].set_xlabel("epoch")
    panels[0][0].set_ylabel("success (%)")
    panels[-1][0].set_ylabel("validation loss (nats a token)" if with_losses else "success (%)")
    for axes in panels.flat:
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.grid(alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
    panels[0][0].legend(frameon=False)
    return figure


def _draw_success(axes: Any, rows: list[Row], half: str, color: str) -> None:
    points = [(row.epoch, cell) for row in rows if (cell := row.cells.get(half)) and cell.ours.mean is not None]
    epochs = [epoch for epoch, _ in points]
    axes.plot(epochs, [100 * (cell.ours.mean or 0.0) for _, cell in points], label=rows[0].course, **_look(color))
    limits = [(epoch, cell.ours.interval) for epoch, cell in points if cell.ours.interval]
    low, high = [100 * limit.low for _, limit in limits], [100 * limit.high for _, limit in limits]
    axes.fill_between([epoch for epoch, _ in limits], low, high, color=color, alpha=0.15, lw=0)


def _look(color: str) -> dict[str, Any]:
    return {"color": color, "marker": "o", "ms": 4, "lw": 2}
