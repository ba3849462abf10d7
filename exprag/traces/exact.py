"""Records that come back as they went out: what a foreign format has no place for travels in a field of its own."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from exprag.contracts.trace_format import Place
from exprag.errors import RecordError
from exprag.traces.patch import JsonData, difference, patched
from exprag.trajectory import Trajectory

FIELD = "exprag"
"""The field of a row that holds the difference; other readers pass it over."""


def addition(trajectory: Trajectory, row: Any, read: Callable[[Any, Place], Trajectory]) -> JsonData | None:
    """What must be added to a row so that `restore` gives the trajectory back; None where reading the row gives it already."""
    try:
        reread = read(row, Place())
    except RecordError:
        return {"=": _plain(trajectory)}
    return difference(_plain(trajectory), _plain(reread))


def restore(change: Any, read: Callable[[], Trajectory]) -> Trajectory:
    """The trajectory whose `addition` was `change`, where `read` gives what the row says without it, read at `Place()`.

    Raises RecordError where the two do not belong together."""
    if isinstance(change, dict) and "=" in change:
        return Trajectory.from_dict(change["="])
    base = read()
    try:
        return Trajectory.from_dict(patched(_plain(base), change))
    except (ValueError, AttributeError, TypeError) as error:
        raise RecordError(f"Its field {FIELD!r} does not belong to the rest: {error}.") from error


def _plain(trajectory: Trajectory) -> Any:
    return json.loads(trajectory.to_json())
