"""Files that are whole or not there: written beside and renamed, lines appended whole, trajectories a line each."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from exprag.errors import RecordError, RunError
from exprag.trajectory import Trajectory

PARTIAL = ".partial"
_UNSAFE = re.compile(r"[^\w.-]+")
_LONGEST = 60  # letters of a name: of up to four bytes each, so that no file system refuses it
_BLOCK = 1 << 16  # bytes that are read at once from the end of a file


@contextmanager
def beside(target: Path, ending: str = PARTIAL) -> Iterator[Path]:
    """The place beside `target` to write its file or folder to: moved to `target` when the block ends, removed where it raises.
    The folder around it is made. OSError passes: say what could not be written, by `cannot_write` or a boundary."""
    partial = target.with_name(target.name + ending)
    _remove(partial)  # of a killed writer
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        yield partial
        partial.replace(target)
    finally:
        _remove(partial)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def folder_name(text: str) -> str:
    """Any text as the name of a folder: letters, digits, dots and dashes. Two texts may get the same name."""
    return _UNSAFE.sub("_", text)[:_LONGEST].strip(".") or "_"


def file_name(text: str) -> str:
    """As `folder_name`, but two texts get two names: one that had to be changed ends in a hash of the whole."""
    name = folder_name(text)
    return name if name == text else f"{name}-{hashlib.sha256(text.encode('utf-8', 'surrogatepass')).hexdigest()[:8]}"


def write_whole(path: str | Path, text: str) -> None:
    """Write a UTF-8 text file as a whole: through a file beside it, on disk when this returns. Raises RunError where the file
    system refuses (disk full, read-only); then the old file stands, and nothing is left beside it."""
    target = Path(path)
    partial = target.with_name(target.name + PARTIAL)
    try:
        with open(partial, "w", encoding="utf-8", errors="backslashreplace") as out:
            out.write(text)
            out.flush()
            os.fsync(out.fileno())
        partial.replace(target)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise cannot_write(target, error) from error


def write_json(path: str | Path, data: Any) -> None:
    """Write JSON, indented, as a whole; see `write_whole`."""
    write_whole(path, json.dumps(data, indent=2, ensure_ascii=False) + "\n")


def append_line(path: str | Path, text: str) -> None:
    """Add one whole line of ASCII, on disk when this returns. Raises RunError where the disk is full; no torn line stays."""
    line = (text + "\n").encode("ascii")
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        try:
            written = os.write(handle, line)
            if written != len(line):
                os.ftruncate(handle, os.fstat(handle).st_size - written)
                raise RunError(f"The disk is full: a line of {path} was not written.", cure="Free space, then run it again.")
            os.fsync(handle)
        finally:
            os.close(handle)
    except OSError as error:
        raise cannot_write(path, error) from error


def cut_torn_line(path: str | Path) -> int:
    """Cut off a last line without its newline, which a killed writer left; returns the bytes removed. Reads only that line."""
    with open(path, "rb+") as file:
        size = start = file.seek(0, os.SEEK_END)
        whole = 0
        while start and not whole:
            start = max(0, start - _BLOCK)
            file.seek(start)
            newline = file.read(min(_BLOCK, size - start)).rfind(b"\n")
            whole = start + newline + 1 if newline >= 0 else 0
        if whole < size:
            file.truncate(whole)
        return size - whole


def read_jsonl(path: str | Path, *, torn_tail_ok: bool = False) -> Iterator[Trajectory]:
    """Trajectories of a JSONL file, one a line. Raises RecordError with file and line number.

    `torn_tail_ok` passes over a last line without its newline: what a killed writer leaves behind.
    """
    with open(path, encoding="utf-8", errors="surrogateescape") as lines:
        for number, line in enumerate(lines, 1):
            if not line.strip() or (torn_tail_ok and not line.endswith("\n")):
                continue
            try:
                yield Trajectory.from_json(line)
            except RecordError as error:
                raise RecordError(f"{path}, line {number}: {error.message}", cure=error.cure) from error


def write_jsonl(path: str | Path, trajectories: Iterable[Trajectory]) -> int:
    """Write a JSONL file as a whole (through a temporary file beside it); returns the number of lines."""
    target, count = Path(path), 0
    try:
        with beside(target) as partial, open(partial, "w", encoding="utf-8") as out:
            for count, trajectory in enumerate(trajectories, 1):  # noqa: B007
                out.write(trajectory.to_json() + "\n")
    except OSError as error:
        raise cannot_write(target, error) from error
    return count


def copy_folder(source: Path, target: Path) -> None:
    """Copy a folder to a new place, where it appears whole. Nothing happens where something lies there already."""
    if target.exists():
        return
    try:
        with beside(target) as partial:
            shutil.copytree(source, partial)
    except OSError as error:
        raise cannot_write(target, error) from error


def cannot_write(path: str | Path, error: OSError) -> RunError:
    """The error of a file that the file system refuses to write, with its reason."""
    full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
    cure = "Free space, then run it again." if full else "Choose a place that can be written to."
    return RunError(f"Cannot write {path}: {error.strerror or error}.", cure=cure)
