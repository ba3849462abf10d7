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
    if not target.suffix and target.exists():
        raise ConfigError(f"{target} is there already.", cure="Name a new folder, or a file such as traces.jsonl.")
    with guard(f"{target} cannot be written"), beside(target) as partial:
        if target.suffix:
            return _lines(partial, _texts(bank, format, where, separators=(",", ":")))
        return _documents(partial, _texts(bank, format, where, indent=1))


def _texts(bank: Bank, format: str, where: Filter | None, **layout: Any) -> Iterator[tuple[str, str]]:
    """(id, JSON text) of each trajectory. Raises ConfigError where the format cannot write it, or gives what is not JSON."""
    writer = format_named(format)
    for trajectory in bank.trajectories(where):
        with boundary(ConfigError, f"The trace format {format} could not write trajectory {trajectory.id!r}"):
            text = json.dumps(writer.write(trajectory), ensure_ascii=True, allow_nan=False, **layout)
        yield trajectory.id, text


def _lines(partial: Path, texts: Iterator[tuple[str, str]]) -> int:
    count = 0
    with partial.open("w", encoding="ascii") as out:
        for _, text in texts:
            out.write(text + "\n")
            count += 1
    return count


def _documents(partial: Path, texts: Iterator[tuple[str, str]]) -> int:
    partial.mkdir()
    count = 0
    for id, text in texts:
        (partial / f"{file_name(id)}.json").write_text(text + "\n", encoding="ascii")
        count += 1
    return count
