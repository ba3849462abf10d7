"""A report as one long table: a row for each measure of each arm, and for each difference from the baseline.

    arm, environment, index_state, seeds   whose row it is; seeds are separated by blanks
    baseline        the arm that it is compared with, for a difference; empty for an arm's own mean
    by, group       the part of the episodes: all, split, group (easy, hard) or type, and its name
    measure, n      what is measured, and over how many episodes or pairs
    value, low, high   mean or difference, and its 95 % interval; empty where there is none
    p, p_holm       of differences of success: exact p-value, and after Holm's correction in the row for all
"""

from __future__ import annotations

import csv as csv_files
import io
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from exprag.errors import PluginError
from exprag.files import write_whole

if TYPE_CHECKING:
    from exprag.evaluation.contrasts import Contrast
    from exprag.evaluation.metrics import Metrics
    from exprag.evaluation.report import Arm, Report
    from exprag.evaluation.statistics import Interval

_ABOUT = ("arm", "environment", "index_state", "seeds", "baseline", "by", "group")
COLUMNS = (*_ABOUT, "measure", "n", "value", "low", "high", "p", "p_holm")
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def rows(report: Report) -> list[dict[str, Any]]:
    """The rows as plain data, numbers as numbers; None where there is no value."""
    arms = {arm.name: arm for arm in report.arms}
    table = []
    for arm in report.arms:
        for by, group, metrics in _parts_of_arm(arm):
            for name, measure in metrics.measures.items():
                cells = {"measure": name, "n": measure.n, "value": measure.mean, **_limits(measure.interval)}
                table.append(_row(arm, by=by, group=group, **cells))
    for comparison in report.comparisons:
        parts: list[tuple[str, str, Contrast]] = [("all", "", comparison.total)]
        parts += [("split", name, part) for name, part in comparison.splits.items()]
        parts += [("group", name, part) for name, part in comparison.groups.items()]
        parts += [("type", name, part) for name, part in comparison.types.items()]
        for by, group, contrast in parts:
            for name, difference in {"success": contrast.success, **contrast.measures}.items():
                cells = {"measure": name, "n": difference.n, "value": difference.estimate, **_limits(difference.interval)}
                if name == "success":
                    cells |= {"p": contrast.p_value, "p_holm": comparison.p_holm if by == "all" else None}
                table.append(_row(arms[comparison.arm], baseline=comparison.baseline, by=by, group=group, **cells))
    return table


def frame(report: Report) -> Any:
    """The rows as a pandas.DataFrame. Raises PluginError without pandas."""
    try:
        import pandas  # type: ignore[import-untyped]
    except ImportError as error:
        raise PluginError("A data frame needs pandas.", cure="pip install pandas, or use table() or to_csv().") from error
    return pandas.DataFrame(rows(report), columns=list(COLUMNS))


def csv(report: Report, path: str | Path | None = None) -> str:
    """The rows as CSV with a header. Text that a spreadsheet would take for a formula gets an apostrophe before it."""
    out = io.StringIO()
    writer = csv_files.DictWriter(out, COLUMNS, lineterminator="\n")
    writer.writeheader()
    for row in rows(report):
        writer.writerow({name: _inert(value) for name, value in row.items()})
    if path is not None:
        write_whole(path, out.getvalue())
    return out.getvalue()


def _parts_of_arm(arm: Arm) -> Iterator[tuple[str, str, Metrics]]:
    yield "all", "", arm.total
    for by, parts in (("split", arm.splits), ("group", arm.groups), ("type", arm.types)):
        for name, metrics in parts.items():
            yield by, name, metrics


def _row(arm: Arm, **cells: Any) -> dict[str, Any]:
    about = {
        "arm": arm.arm or arm.name,
        "environment": arm.scope or str(arm.config.get("environment") or ""),
        "index_state": arm.index_state,
        "seeds": " ".join(map(str, arm.seeds)),
    }
    return dict.fromkeys(COLUMNS) | about | cells


def _limits(interval: Interval | None) -> dict[str, float | None]:
    return {"low": interval.low if interval else None, "high": interval.high if interval else None}


def _inert(value: Any) -> Any:
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value
