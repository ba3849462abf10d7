"""A bank and files: import of trajectories, export as JSON, and copies of a whole bank."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from exprag.bank.index import resume_upkeep
from exprag.bank.reports import BadRow, ImportReport
from exprag.bank.schema import TABLE, collections_of, describe
from exprag.bank.store import LOCK, MAKING, Store, guard
from exprag.bank.versions import check_out, restore_collections
from exprag.errors import BankError
from exprag.files import beside, write_jsonl
from exprag.traces import AUTO, ENVIRONMENT, RowResult, read_file
from exprag.traces.rewrite import rewriter
from exprag.trajectory import Trajectory

if TYPE_CHECKING:
    from exprag.bank.bank import Bank
    from exprag.bank.filters import Filter

_NAMED = 5


def import_file(
    bank: Bank,
    path: str | Path,
    *,
    format: str = AUTO,
    environment: str = ENVIRONMENT,
    trust: bool | None = False,
    rewrite: Sequence[str] = (),
) -> ImportReport:
    """Add the trajectories of a file in the trace format of this name, or auto: each row is recognised by itself.

    `environment` names the environment that rows of other formats are of; `rewrite` puts their actions in its wording, see
    `exprag.traces.rewrite`. They are quarantined unless `trust` says otherwise.
    What does not fit is reported with its number (of the line, the element or the entry, from 1) and the reason, and the rest
    goes in. Raises ConfigError where there is no such file or format, or the file cannot be read.
    """
    bad: list[BadRow] = []
    left_out: Counter[str] = Counter()
    change = rewriter(rewrite)
    report = bank.add(map(change, _valid(read_file(path, format, environment), bad, left_out)), trust=trust)
    notes = tuple(f"left out of {count}: {phrase}" for phrase, count in left_out.most_common(_NAMED))
    return ImportReport(report.added, report.skipped_existing, tuple(bad), report.quarantined, report.notes + notes)


def export_jsonl(bank: Bank, path: str | Path, where: Filter | None = None) -> int:
    """Write all that fit the filter, one trajectory a line; the file appears whole. Returns the number of lines."""
    with guard(f"The file {path} cannot be written"):
        return write_jsonl(path, bank.trajectories(where))


def copy_bank(source: str | Path, target: str | Path, version: int | None = None) -> None:
    """Copy the bank in folder `source` to the new folder `target`, with rows, keys, vectors and documents; nothing is embedded
    again, and the two can grow apart. With `version`, as it was then. The copy appears whole.

    Raises BankError where there is no local bank, the version is gone, or `target` exists.
    """
    old, place = Store(source), Path(target)
    if old.local is None:
        raise BankError(f"{old.uri} is not a local folder.", cure="Export it, and import the file into a new bank.")
    table = old.open()
    describe(table.schema, old.uri)
    if version is not None:
        check_out(table, version, old.uri)
    with old.writing(), guard(f"The bank {old.uri} cannot be copied to {place}"):
        if place.exists():
            raise BankError(f"{place} exists already.", cure="Name a new folder.")
        resume_upkeep(old, old.open(), TABLE)
        with beside(place) as partial:
            shutil.copytree(old.local, partial, ignore=shutil.ignore_patterns(LOCK, MAKING))
            if version is not None:
                copy = Store(partial)
                table = copy.open()
                if table.version != version:
                    table.checkout(version)
                    table.restore()
                if (noted := collections_of(table.schema)) is not None:
                    restore_collections(table, copy.connect(), noted)


def _valid(results: Iterator[RowResult], bad: list[BadRow], left_out: Counter[str]) -> Iterator[Trajectory]:
    """The trajectories of a file; what is wrong with the others is appended to `bad`, what they came without is counted."""
    for result in results:
        if result.trajectory is None:
            bad.append(BadRow(result.row, result.fault))
        else:
            phrases = result.trajectory.provenance.extra.get("left_out")
            left_out.update(phrase for phrase in (phrases if isinstance(phrases, list) else ()) if isinstance(phrase, str))
            yield result.trajectory
