"""The rows of a file, whatever it is: JSON lines, one JSON array, an object of rows, a text; plain, gzip or xz; UTF-8.

A row has its number from 1: of the line, of the element, or of the entry. NaN and the infinities, which JSON does not have and
Python's writers put where a number is missing, are read as null.
"""

from __future__ import annotations

import codecs
import gzip
import json
import lzma
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any, BinaryIO, cast

from exprag.errors import ConfigError, boundary

LONGEST_LINE = 64 * 2**20
LONGEST_WHOLE = 2**30
"""An array or object, which is read as a whole, has at most this many bytes, uncompressed."""
_PEEK = 2**16
_COMPRESSED: Mapping[bytes, Callable[..., Any]] = {b"\xfd7zXZ\x00": lzma.open, b"\x1f\x8b": gzip.open}
_MARKS = {  # UTF-32 first: its little-endian mark begins as that of UTF-16
    **dict.fromkeys((codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE), "UTF-32"),
    **dict.fromkeys((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE), "UTF-16"),
}
_ROW_FIELDS = ("task", "steps", "messages", "conversations", "schema_version")


@dataclass(frozen=True)
class Row:
    """One row as it stands in a file: its data, or the reason why there are none. `key`: its place in an object of rows."""

    number: int
    data: Any = None
    key: str = ""
    fault: str = ""


def read_rows(path: str | Path, is_row: Callable[[Any], bool]) -> Iterator[Row]:
    """The rows of a file, in order. `is_row` says whether data that could be one row or several are one.

    Raises ConfigError where the file cannot be read, or is of another encoding than UTF-8.
    """
    file = Path(path)
    with _reading(file):
        source = _open(file)
    with source:
        with _reading(file):
            _skip_mark(source, file)
            rows = _whole(source, is_row)
        if rows is not None:
            yield from rows
            return
        for number in count(1):
            with _reading(file):
                line = source.readline(LONGEST_LINE)
                too_long = len(line) == LONGEST_LINE and not line.endswith(b"\n")
                while too_long and (rest := source.readline(LONGEST_LINE)) and not rest.endswith(b"\n"):
                    pass
            if not line:
                return
            if too_long:
                yield Row(number, fault=f"The line is longer than {LONGEST_LINE // 2**20} MiB.")
            elif line.strip():
                yield _line(number, line)


def _reading(file: Path) -> AbstractContextManager[None]:
    cure = "Name a file of trajectories that is whole and may be read."
    errors = (OSError, EOFError, lzma.LZMAError, zlib.error)
    return boundary(ConfigError, f"The file {file} cannot be read", cure=cure, catch=errors)


def _open(file: Path) -> BinaryIO:
    with file.open("rb") as source:
        start = source.read(6)
    opener = next((opener for magic, opener in _COMPRESSED.items() if start.startswith(magic)), None)
    return cast(BinaryIO, opener(file, "rb") if opener else file.open("rb"))


def _line(number: int, line: bytes) -> Row:
    try:
        return Row(number, _parse(_decode(line)))
    except (ValueError, RecursionError) as error:
        return Row(number, fault=f"The text is not JSON ({error}).")


def _parse(text: str) -> Any:
    return json.loads(text, parse_constant=lambda name: None)


def _decode(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")


def _skip_mark(source: BinaryIO, file: Path) -> None:
    """Move behind a byte-order mark of UTF-8. Raises ConfigError where the file is of another encoding."""
    start = source.read(4)
    other = next((name for mark, name in _MARKS.items() if start.startswith(mark)), "")
    if not other and len(start) == 4 and start.count(0) == 2 and {start[:2].count(0), start[2:].count(0)} == {1}:
        other = "UTF-16"  # without a mark: every other byte of ASCII is zero
    if other:
        raise ConfigError(f"{file} is {other} text, not UTF-8.", cure=f"Convert it: iconv -f {other} -t UTF-8 {file} > NEW_FILE")
    source.seek(len(codecs.BOM_UTF8) if start.startswith(codecs.BOM_UTF8) else 0)


def _whole(source: BinaryIO, is_row: Callable[[Any], bool]) -> list[Row] | None:
    """The rows, where the file is one array, one object or one text; else None, at the place where it stood: it is lines."""
    place = source.tell()
    head = source.read(_PEEK)
    source.seek(place)
    first = head.lstrip()[:1]
    if not first or (first == b"{" and _is_lines(source, place)):
        return None
    content = source.read(LONGEST_WHOLE + 1)
    source.seek(place)
    if len(content) > LONGEST_WHOLE:
        return None
    text = _decode(content)
    if first not in b"[{":
        plain = not any(line.lstrip().startswith(("{", "[", '"')) for line in text.splitlines())
        return [Row(1, text)] if plain and is_row(text) else None
    try:
        data = _parse(text)
    except (ValueError, RecursionError):
        return None  # perhaps lines, of which the first is bad
    if is_row(data):
        return [Row(1, data)]
    if isinstance(data, dict):
        return _entries(data, is_row)
    return [Row(number, element) for number, element in enumerate(data, 1)]


def _is_lines(source: BinaryIO, place: int) -> bool:
    """Whether a JSON object stands alone on the first line, and more follows; the source stands at `place` again."""
    line = source.readline(LONGEST_LINE)
    while line and not line.strip():
        line = source.readline(LONGEST_LINE)
    more = source.read(_PEEK).strip()
    source.seek(place)
    try:
        json.loads(_decode(line))
    except (ValueError, RecursionError):
        return False
    return bool(more)


def _entries(data: dict[str, Any], is_row: Callable[[Any], bool]) -> list[Row]:
    """The rows of an object: the elements of its lists, beside which all else describes the file; or its texts and objects.

    An object with a field that rows have is one row, with something wrong."""
    if any(name in data for name in _ROW_FIELDS):
        return [Row(1, data)]
    keyed: list[tuple[str, Any]] = []
    lists = {key: value for key, value in data.items() if isinstance(value, list)}
    for key, value in lists.items():
        keyed += [(key, value)] if is_row(value) else [(f"{key}[{index}]", element) for index, element in enumerate(value)]
    if not lists:
        keyed = list(data.items()) if all(isinstance(value, str | dict) for value in data.values()) else []
    if not keyed and not lists:
        return [Row(1, data)]
    return [Row(number, value, key) for number, (key, value) in enumerate(keyed, 1)]
