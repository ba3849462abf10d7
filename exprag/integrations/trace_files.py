"""Trajectories of a bank in a format of other programs: a line each in one file, or a file each in a folder."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from exprag.bank.filters import Filter
from exprag.bank.store import guard
from exprag.errors import ConfigError, boundary
from exprag.files import beside, file_name
from exprag.traces import format_named

if TYPE_CHECKING:
    from exprag.bank.bank import Bank


def export_traces(bank: Bank, path: str | Path, format: str, where: Filter | None = None) -> int:
    """Write the trajectories that fit the filter in the trace format of this name; returns how many.

    A path without an ending is a new folder with one JSON document a trajectory, as viewers open them; any other is a file with
    one line each. It appears whole or not at all. Raises ConfigError where the format can only be read, or the folder exists.
    """
    target = Path(path)
    rows = _rows(bank, format, where)
    if not target.suffix and target.exists():
        raise ConfigError(f"{target} is there already.", cure="Name a new folder, or a file such as traces.jsonl.")
    with guard(f"{target} cannot be written"), beside(target) as partial:
        return _lines(partial, rows) if target.suffix else _documents(partial, rows)


def _rows(bank: Bank, format: str, where: Filter | None) -> Iterator[tuple[str, Any]]:
    writer = format_named(format)
    for trajectory in bank.trajectories(where):
        with boundary(ConfigError, f"The trace format {format} could not write trajectory {trajectory.id!r}"):
            row = writer.write(trajectory)
        yield trajectory.id, row


def _lines(partial: Path, rows: Iterator[tuple[str, Any]]) -> int:
    count = 0
    with partial.open("w", encoding="ascii") as out:
        for _, row in rows:
            out.write(json.dumps(row, ensure_ascii=True, separators=(",", ":")) + "\n")
            count += 1
    return count


def _documents(partial: Path, rows: Iterator[tuple[str, Any]]) -> int:
    partial.mkdir()
    count = 0
    for id, row in rows:
        place = partial / f"{file_name(id)}.json"
        place.write_text(json.dumps(row, ensure_ascii=True, indent=1) + "\n", encoding="ascii")
        count += 1
    return count
