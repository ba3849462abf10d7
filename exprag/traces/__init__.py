"""Trajectories of others: a table of the formats that are read beside our own, by name or recognised.

A format is a module with two functions: `recognise(row)` says whether a row looks like it, and `read(row, place)` makes the
record or raises RecordError with the reason. A new one is a line in `FORMATS`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from exprag.errors import ConfigError, RecordError, closest
from exprag.traces import openai_messages, pairs, react, sharegpt
from exprag.traces.record import ENVIRONMENT, Place
from exprag.traces.rows import read_rows
from exprag.trajectory import Trajectory

__all__ = ["AUTO", "ENVIRONMENT", "FORMATS", "Format", "Place", "RowResult", "read_file", "read_row", "recognise"]

AUTO = "auto"


class Format(NamedTuple):
    """How one format is recognised and read."""

    recognise: Callable[[Any], bool]
    read: Callable[[Any, Place], Trajectory]


def _is_own(row: Any) -> bool:
    return isinstance(row, dict) and (isinstance(row.get("task"), dict) or "schema_version" in row)


def _read_own(row: Any, place: Place) -> Trajectory:
    return Trajectory.from_dict(row)


FORMATS: dict[str, Format] = {  # in the order in which they are tried
    "exprag": Format(_is_own, _read_own),
    "sharegpt": Format(sharegpt.recognise, sharegpt.read),
    "openai": Format(openai_messages.recognise, openai_messages.read),
    "pairs": Format(pairs.recognise, pairs.read),
    "react": Format(react.recognise, react.read),
}


@dataclass(frozen=True)
class RowResult:
    """What became of one row: a trajectory, or the reason why not."""

    row: int
    trajectory: Trajectory | None = None
    fault: str = ""


def recognise(row: Any) -> str:
    """The name of the first format that the row looks like; "" for none."""
    return next((name for name, format in FORMATS.items() if format.recognise(row)), "")


def read_row(row: Any, format: str = AUTO, place: Place = Place()) -> Trajectory:  # noqa: B008 (it is frozen)
    """One row, parsed from JSON, as a trajectory. Raises RecordError with the reason where it does not fit."""
    name = recognise(row) if format == AUTO else format
    if not name:
        fields = ", ".join(row)[:200] if isinstance(row, dict) else ""
        what = f"its fields: {fields}" if fields else "it is not an object with fields"
        raise RecordError(f"It fits none of the formats {', '.join(FORMATS)}; {what}.")
    try:
        return FORMATS[name].read(row, place)
    except RecursionError as error:
        raise RecordError("Its data are nested too deeply.") from error


def read_file(path: str | Path, format: str = AUTO, environment: str = ENVIRONMENT) -> Iterator[RowResult]:
    """Every row of a file, in order, as a trajectory or with the reason why it is none.

    `format` is a name of FORMATS, or auto: each row is recognised by itself. `environment` names the environment of foreign rows.
    Raises ConfigError at once where there is no such file, format or environment, and later where the file cannot be read.
    """
    file = Path(path)
    if format != AUTO and format not in FORMATS:
        raise ConfigError(f"There is no format {format!r}.", cure=closest(format, [AUTO, *FORMATS]))
    if not environment:
        raise ConfigError("The environment's name is empty.", cure="Give a name, such as the one that your runs have.")
    if not file.is_file():
        raise ConfigError(f"There is no file {file}.", cure="Name a file of trajectories.")
    return _results(file, format, environment)


def _results(file: Path, format: str, environment: str) -> Iterator[RowResult]:
    is_row: Callable[[Any], bool] = FORMATS[format].recognise if format != AUTO else lambda data: bool(recognise(data))
    for row in read_rows(file, is_row):
        where = f"{row.key}: " if row.key else ""
        if row.fault:
            yield RowResult(row.number, fault=where + row.fault)
            continue
        try:
            trajectory = read_row(row.data, format, Place(file.name, row.number, row.key, environment))
        except RecordError as error:
            yield RowResult(row.number, fault=where + error.message)
        else:
            yield RowResult(row.number, trajectory)
