"""Trajectories of other programs: files read in any trace format that a plugin brings, by name or recognised.

A format is a plugin of kind `trace_format` (see `exprag.contracts.trace_format`). The built-in ones are tried first, in the order
of their registration, then those of other distributions by name.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from exprag.contracts.trace_format import IMPORTED, Place, TraceFormat
from exprag.errors import ConfigError, ExpragError, PluginError, RecordError, boundary, closest
from exprag.plugins import BUILT_IN, Registry, registry
from exprag.traces.rows import Row, read_rows
from exprag.trajectory import Trajectory

__all__ = ["AUTO", "ENVIRONMENT", "Place", "RowResult", "format_named", "format_names", "read_file", "read_row", "recognise"]

AUTO = "auto"
ENVIRONMENT = IMPORTED
KIND = "trace_format"
log = logging.getLogger("exprag.traces")


@dataclass(frozen=True)
class RowResult:
    """What became of one row: a trajectory, or the reason why not."""

    row: int
    trajectory: Trajectory | None = None
    fault: str = ""


def format_names() -> list[str]:
    """The names of the formats that can be used here, in the order in which they are tried."""
    return list(_formats(registry()))


def format_named(name: str) -> TraceFormat:
    """The format of this name. Raises ConfigError where there is none, PluginError where something that it needs is missing."""
    usable = _formats(registry())
    if name not in usable and ":" not in name and registry().get_or_none(KIND, name) is None:
        raise ConfigError(f"There is no format {name!r}.", cure=closest(name, [AUTO, *usable]))
    return usable[name] if name in usable else registry().registered(KIND, name).create()


@lru_cache(maxsize=1)
def _formats(plugins: Registry) -> dict[str, TraceFormat]:
    """The formats that can be made, by name; a broken one is logged, and stops no other."""
    components = [component for component in plugins.components if component.kind == KIND]
    others = sorted((c for c in components if c.distribution != BUILT_IN), key=lambda component: component.qualified)
    formats: dict[str, TraceFormat] = {}
    for component in [*(c for c in components if c.distribution == BUILT_IN), *others]:
        try:
            formats.setdefault(component.qualified if component.name in formats else component.name, component.create())
        except (PluginError, ConfigError) as error:
            log.info("the trace format %s is passed over: %s", component.qualified, error)
    return formats


def recognise(row: Any) -> str:
    """The name of the first format that the row looks like; "" for none."""
    return next((name for name, format in _formats(registry()).items() if _looks_like(format, row)), "")


def read_row(row: Any, format: str = AUTO, place: Place = Place()) -> Trajectory:  # noqa: B008 (it is frozen)
    """One row, parsed from JSON, as a trajectory. Raises RecordError with the reason where it does not fit."""
    name = _name_for(row, format)
    return _read(name, row, place)


def read_file(path: str | Path, format: str = AUTO, environment: str = ENVIRONMENT) -> Iterator[RowResult]:
    """Every row of a file, in order, as a trajectory or with the reason why it is none.

    `format` is the name of a format, or auto: each row is recognised by itself. `environment` names the environment of foreign
    rows. A row that holds several trajectories gives several results. Raises ConfigError or PluginError at once where there is no
    such file, format or environment, and later where the file cannot be read.
    """
    file = Path(path)
    if format != AUTO:
        format_named(format)
    if not environment:
        raise ConfigError("The environment's name is empty.", cure="Give a name, such as the one that your runs have.")
    if not file.is_file():
        raise ConfigError(f"There is no file {file}.", cure="Name a file of trajectories.")
    return _results(file, format, environment)


def _results(file: Path, format: str, environment: str) -> Iterator[RowResult]:
    names = [format] if format != AUTO else format_names()
    for name in names:
        with _of_plugin(ConfigError, name, f"could not read the file {file}"):
            own_rows = format_named(name).rows(file)
        if own_rows is not None:
            rows = (Row(number, data, key) for number, (key, data) in enumerate(own_rows, 1))
            yield from _read_all(rows, file, name, environment)
            return

    def is_row(data: Any) -> bool:
        return bool(recognise(data)) if format == AUTO else _looks_like(format_named(format), data)

    yield from _read_all(read_rows(file, is_row), file, format, environment)


def _read_all(rows: Iterator[Row], file: Path, format: str, environment: str) -> Iterator[RowResult]:
    for row in rows:
        where = f"{row.key}: " if row.key else ""
        if row.fault:
            yield RowResult(row.number, fault=where + row.fault)
            continue
        try:
            name = _name_for(row.data, format)
            with _of_plugin(RecordError, name, "could not read it"):
                parts = list(format_named(name).parts(row.data))
        except RecordError as error:
            yield RowResult(row.number, fault=where + error.message)
            continue
        for key, data in parts:
            key = "/".join(filter(None, [row.key, key]))
            try:
                trajectory = _read(name, data, Place(file.name, row.number, key, environment))
            except RecordError as error:
                yield RowResult(row.number, fault=(f"{key}: " if key else "") + error.message)
            else:
                yield RowResult(row.number, trajectory)


def _name_for(row: Any, format: str) -> str:
    name = recognise(row) if format == AUTO else format
    if not name:
        fields = ", ".join(map(str, row))[:200] if isinstance(row, dict) else ""
        what = f"its fields: {fields}" if fields else "it is not an object with fields"
        raise RecordError(f"It fits none of the formats {', '.join(format_names())}; {what}.")
    return name


def _read(name: str, row: Any, place: Place) -> Trajectory:
    with _of_plugin(RecordError, name, "could not read it"):
        return format_named(name).read(row, place)


def _of_plugin(kind: type[ExpragError], name: str, what: str) -> Any:
    """Whatever a format raises beside our errors is an error of this kind, naming the format."""
    return boundary(kind, f"The trace format {name} {what}")


def _looks_like(format: TraceFormat, row: Any) -> bool:
    try:
        return bool(format.recognise(row))
    except Exception as error:  # noqa: BLE001 - a third party's; the row is then not recognised by it
        log.info("%s failed to look at a row: %s", type(format).__name__, error)
        return False
