"""Import of JSONL files: every line either goes in or is named with the reason."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from exprag.bank.reports import BadRow, ImportReport
from exprag.bank.store import guard
from exprag.errors import ConfigError, RecordError
from exprag.trajectory import Trajectory

if TYPE_CHECKING:
    from exprag.bank.bank import Bank


def import_jsonl(bank: Bank, path: str | Path, trust: bool | None = False) -> ImportReport:
    """See `Bank.import_jsonl`. Raises ConfigError where the file is missing."""
    file = Path(path)
    if not file.is_file():
        raise ConfigError(f"There is no file {file}.", cure="Name a JSONL file of trajectories.")
    bad: list[BadRow] = []
    report = bank.add(_valid(file, bad), trust=trust)
    return ImportReport(report.added, report.skipped_existing, tuple(bad), report.quarantined, report.notes)


def _valid(file: Path, bad: list[BadRow]) -> Iterator[Trajectory]:
    with guard(f"The file {file} cannot be read"), open(file, encoding="utf-8", errors="surrogateescape") as lines:
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            try:
                yield Trajectory.from_json(line)
            except RecordError as error:
                bad.append(BadRow(number, error.message))
