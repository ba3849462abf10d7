"""The tables of measures: the mean of each with its interval, by arm; and success by groups of types where arms are many."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from exprag.evaluation.measures import Measure
from exprag.evaluation.metrics import Metrics

if TYPE_CHECKING:
    from exprag.evaluation.report import Report

MANY = 4
"""Arms that stand side by side at most."""
DIGITS = {"success": 0, "score": 3, "tokens": 0, "cost": 4}

Table = tuple[str, list[str], list[list[str]]]
Number = Callable[[float | None, int], str]


def measures_table(report: Report, number: Number) -> Table:
    """One row for each measure, one column for each arm; where arms are many one row for each arm."""
    names = list(dict.fromkeys(name for arm in report.arms for name in arm.total.measures))
    rows = []
    for name in names:
        cells = [_cell(name, arm.total.measures.get(name, Measure()), arm.total.n, number) for arm in report.arms]
        rows.append([name.replace("_", " "), *cells])
    head = ["measure", *(arm.name for arm in report.arms)]
    if len(report.arms) > MANY:
        head, *rows = [list(column) for column in zip(head, *rows, strict=True)]
        head[0] = "arm"
    return "Measures (mean per episode, 95 %)", head, rows


def groups_table(report: Report, number: Number) -> Table:
    """Success of each arm in all and by groups of types: one row for each arm."""
    names = [*report.groups]
    rows = []
    for arm in report.arms:
        parts = [arm.groups.get(name, Metrics()) for name in names] + [arm.total]
        rows.append([arm.name, *(_rate(part, number) for part in parts)])
    return "Success by groups of task types", ["arm", *names, "all"], rows


def _rate(metrics: Metrics, number: Number) -> str:
    measure = metrics.measures.get("success", Measure())
    return f"{metrics.solved}/{metrics.n} {_cell('success', measure, metrics.n, number)}" if metrics.n else "–"


def _cell(name: str, measure: Measure, episodes: int, number: Number) -> str:
    """Mean and interval, and how many episodes carry the measure where not all do."""
    if measure.mean is None:
        return "–"
    scale, unit = (100, " %") if name == "success" else (1, "")
    digits = DIGITS.get(name.rpartition("_")[2], 1)
    text = number(scale * measure.mean, digits) + unit
    if measure.interval:
        text += f" [{number(scale * measure.interval.low, digits)}, {number(scale * measure.interval.high, digits)}]"
    return text if measure.n == episodes else f"{text} (n {measure.n})"
