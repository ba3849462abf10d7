"""A bank and files: import and export of trajectories as JSON, and copies of a whole bank."""

from __future__ import annotations

import codecs
import json
import shutil
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from exprag.bank.index import resume_upkeep
from exprag.bank.reports import BadRow, ImportReport
from exprag.bank.schema import TABLE, describe
from exprag.bank.store import LOCK, MAKING, Store, guard
from exprag.bank.versions import check_out
from exprag.errors import BankError, ConfigError, RecordError
from exprag.files import PARTIAL, write_jsonl
from exprag.trajectory import Trajectory

if TYPE_CHECKING:
    from exprag.bank.bank import Bank
    from exprag.bank.filters import Filter

LONGEST_LINE = 64 * 2**20
_MARKS = {  # UTF-32 first: its little-endian mark begins as that of UTF-16
    **dict.fromkeys((codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE), "UTF-32"),
    **dict.fromkeys((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE), "UTF-16"),
}


def import_jsonl(bank: Bank, path: str | Path, trust: bool | None = False) -> ImportReport:
    """Add the trajectories of a file: one a line (JSONL), or one JSON array of them.

    What does not validate is reported with its number (of the line, or of the element from 1), and the rest goes in. A
    byte-order mark is passed over. Raises ConfigError where there is no such file, or it is not UTF-8 but UTF-16 or UTF-32.
    """
    file = Path(path)
    if not file.is_file():
        raise ConfigError(f"There is no file {file}.", cure="Name a JSONL file of trajectories.")
    bad: list[BadRow] = []
    report = bank.add(_valid(file, bad), trust=trust)
    return ImportReport(report.added, report.skipped_existing, tuple(bad), report.quarantined, report.notes)


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
    partial = place.with_name(place.name + PARTIAL)
    with old.writing(), guard(f"The bank {old.uri} cannot be copied to {place}"):
        if place.exists():
            raise BankError(f"{place} exists already.", cure="Name a new folder.")
        resume_upkeep(old, old.open(), TABLE)
        shutil.rmtree(partial, ignore_errors=True)
        try:
            shutil.copytree(old.local, partial, ignore=shutil.ignore_patterns(LOCK, MAKING))
            if version is not None:
                table = Store(partial).open()
                if table.version != version:
                    table.checkout(version)
                    table.restore()
            partial.replace(place)
        finally:
            shutil.rmtree(partial, ignore_errors=True)


def _valid(file: Path, bad: list[BadRow]) -> Iterator[Trajectory]:
    """The trajectories of a file; what is wrong with the others is appended to `bad`."""
    for number, data in _numbered(file):
        if isinstance(data, BadRow):
            bad.append(data)
            continue
        try:
            trajectory = Trajectory.from_json(data) if isinstance(data, str) else Trajectory.from_dict(data)
        except RecordError as error:
            bad.append(BadRow(number, error.message))
            continue
        yield trajectory


def _numbered(file: Path) -> Iterator[tuple[int, Any]]:
    """Each line as text, or each element of an array as data, with its number; a BadRow for a line that is too long."""
    failed = f"The file {file} cannot be read"
    with guard(failed):
        source = file.open("rb")
    with source:
        with guard(failed):
            _skip_mark(source, file)
            elements = _array(source)
        if elements is not None:
            yield from enumerate(elements, 1)
            return
        for number in count(1):
            with guard(failed):
                line = source.readline(LONGEST_LINE)
                too_long = len(line) == LONGEST_LINE and not line.endswith(b"\n")
                while too_long and (rest := source.readline(LONGEST_LINE)) and not rest.endswith(b"\n"):
                    pass
            if not line:
                return
            if too_long:
                yield number, BadRow(number, f"The line is longer than {LONGEST_LINE // 2**20} MiB.")
            elif line.strip():
                yield number, line.decode("utf-8", "surrogateescape")


def _skip_mark(source: BinaryIO, file: Path) -> None:
    """Move behind a byte-order mark of UTF-8. Raises ConfigError where the file is of another encoding."""
    start = source.read(4)
    other = next((name for mark, name in _MARKS.items() if start.startswith(mark)), "")
    if not other and len(start) == 4 and start.count(0) == 2 and {start[:2].count(0), start[2:].count(0)} == {1}:
        other = "UTF-16"  # without a mark: every other byte of ASCII is zero
    if other:
        raise ConfigError(f"{file} is {other} text, not UTF-8.", cure=f"Convert it: iconv -f {other} -t UTF-8 {file} > NEW_FILE")
    source.seek(len(codecs.BOM_UTF8) if start.startswith(codecs.BOM_UTF8) else 0)


def _array(source: BinaryIO) -> list[Any] | None:
    """The elements, where the whole file is one JSON array; else None, at the place where it stood."""
    place = source.tell()
    first = source.read(1)
    while first.isspace():
        first = source.read(1)
    source.seek(place)
    if first != b"[":
        return None
    try:
        data = json.loads(source.read().decode("utf-8", "surrogateescape"))
    except (ValueError, RecursionError):
        data = None  # perhaps lines, of which the first is bad
    source.seek(place)
    return data if isinstance(data, list) else None
