"""Where a bank lies: its folder or object storage, its LanceDB tables, the lock of its one writer, and how LanceDB is called.

LanceDB is imported at first use. Its threads do not survive a fork, and calls from a forked process may wait for ever; so worker
processes are to be spawned, and `guard` refuses to work in a process that was forked after LanceDB was loaded.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

import pyarrow as pa

from exprag.bank.object_storage import check_uri, reason_and_cure
from exprag.bank.schema import TABLE
from exprag.errors import BankError, boundary
from exprag.text import redact

T = TypeVar("T")

LOCK = "bank.lock"
LOCK_SECONDS = 600.0
MAKING = ".making"  # the folder in which a new bank is completed before it is moved to its place
_UPKEEP = ".upkeep"  # ends the name of a table's note that an upkeep has begun
_STEP_NS = 2_000_000_000
_QUIET = "warn,lance::index::vector::builder=error"  # a line for every partition that an upkeep had nothing to add to
_FULL = re.compile(r"No space left|os error 28\b|Disk quota|File too large|Errno (?:28|122|27)\b", re.IGNORECASE)
_READ_ONLY = re.compile(r"Read-only file system|Permission denied|Operation not permitted|Errno (?:30|13|1)\b", re.IGNORECASE)
_SOURCE_LINE = re.compile(r", /\S+\.rs:\d+:\d+")  # where in its own source LanceDB raised
_forked = False


def _note_fork() -> None:
    global _forked
    _forked = _forked or "lancedb" in sys.modules


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_note_fork)


@contextmanager
def guard(what: str, cure: str = "") -> Iterator[None]:
    """Turn what LanceDB, Arrow or the file system raise inside into a BankError that begins with `what`.

    A full or read-only disk gets its own cure. Raises BankError at once in a forked process, see above.
    """
    if _forked:
        raise BankError(
            f"{what}: this process was forked from one that had loaded LanceDB, which does not work after a fork.",
            cure="Start workers by spawn: multiprocessing.get_context('spawn'). Each opens the bank by its path.",
        )
    errors = (RuntimeError, ValueError, OSError, pa.ArrowException)
    try:
        with boundary(BankError, what, cure=cure, catch=errors):
            yield
    except BankError as error:
        if error.__cause__ is not None and isinstance(error.__cause__, errors):
            reason, cure = reason_and_cure(str(error.__cause__))
            error.message = f"{what}: {reason}." if reason else redact(_SOURCE_LINE.sub("", error.message))
            error.cure = cure or error.cure or _cure(str(error.__cause__))
        raise


def _cure(reason: str) -> str:
    if _FULL.search(reason):
        return "Free space on the disk, then run it again."
    return "The place is read-only for you: choose one that can be written to." if _READ_ONLY.search(reason) else ""


class Store:
    """The place of one bank. `local` is its folder, None on object storage; commits are whole there too, but no lock keeps
    two writers of one new id apart."""

    def __init__(self, uri: str | Path) -> None:
        text = str(uri).removeprefix("file://")
        if not text:
            raise BankError("The bank has no name.", cure="Give a folder or a URI such as s3://bucket/bank.")
        check_uri(text)
        # absolute, because a bare relative name may be taken for something else by LanceDB
        self.local = None if "://" in text else Path(text).expanduser().absolute()
        self.uri = str(self.local) if self.local else text
        self._connection: Any = None
        self._lock: Any = None

    def connect(self) -> Any:
        """The LanceDB connection, made at first use."""
        if self._connection is None:
            with guard(f"The bank's place {self.uri} cannot be used"):
                self._connection = _lancedb().connect(self.uri)
        return self._connection

    def exists(self) -> bool:
        """Whether there is a table of a bank's name. A table without any version does not count: its maker was killed."""
        if self.local and not _has_version(self.local / f"{TABLE}.lance"):
            return False
        with guard(f"The bank's place {self.uri} cannot be read"):
            return TABLE in self.connect().list_tables().tables

    def create(self, schema: pa.Schema, complete: Callable[[Any], None]) -> Any:
        """The new, empty table of trajectories, see `make_table`. What a killed `create` left counts as an empty folder. Raises
        BankError where a bank or something else lies already."""
        if self.exists():
            raise BankError(f"There is a bank already: {self.uri}.", cure="Open it, or name another folder.")
        with guard(f"The bank {self.uri} cannot be created"):
            if self.local:
                self._clear(self.local)
            return self.make_table(TABLE, schema, complete)

    def make_table(self, name: str, schema: pa.Schema, complete: Callable[[Any], None]) -> Any:
        """A new table, after `complete(table)` has made its indices; call it under the writer's lock. In a folder it is made
        beside and moved to its place when it is complete, so that a kill leaves the whole table or none."""
        if self.local is None:
            table = self.connect().create_table(name, schema=schema)
            complete(table)
            return table
        making = self.local / MAKING
        shutil.rmtree(making, ignore_errors=True)
        try:
            complete(_lancedb().connect(str(making)).create_table(name, schema=schema))
            (making / f"{name}.lance").rename(self.local / f"{name}.lance")
        finally:
            shutil.rmtree(making, ignore_errors=True)
        return self.connect().open_table(name)

    def open(self) -> Any:
        """The table. Raises BankError where there is none."""
        if not self.exists():
            what = "is not a bank" if self.local and self.local.exists() else "does not exist"
            raise BankError(f"{self.uri} {what}.", cure=f"Create one: exprag bank create {self.uri}")
        with guard(f"The bank {self.uri} cannot be opened: its table is damaged or foreign"):
            return self.connect().open_table(TABLE)

    def stamp(self) -> int | None:
        """The time of the last commit, in ns: a cheap way to see that there was none since. Equal stamps, same version. None
        where that is not certain: on object storage, and for two seconds, the coarsest step in which file systems count."""
        if self.local is None:
            return None
        try:
            changed = (self.local / f"{TABLE}.lance" / "_versions").stat().st_mtime_ns
        except OSError:
            return None
        return changed if time.time_ns() - changed > _STEP_NS else None

    @contextmanager
    def writing(self, timeout: float = LOCK_SECONDS) -> Iterator[None]:
        """Be the only writer among all processes of this machine; a thread may enter again what it holds. The system frees the
        lock of a killed process. Raises BankError where another writes for longer than `timeout` seconds."""
        if self.local is None:
            yield
            return
        from filelock import FileLock, Timeout

        with guard(f"The bank {self.uri} cannot be written to"):
            self.local.mkdir(parents=True, exist_ok=True)
            if self._lock is None:
                self._lock = FileLock(self.local / LOCK)
            try:
                self._lock.acquire(timeout=timeout)
            except Timeout as error:
                message = f"Another process has been writing to {self.uri} for {timeout:.0f} s."
                raise BankError(message, cure="Wait for it, or end it.") from error
        try:
            yield
        finally:
            self._lock.release()

    def upkeep_note(self, table: str = TABLE) -> Path | None:
        """The file that stands beside a table while its upkeep is not complete; None on object storage."""
        return self.local / f"{table}{_UPKEEP}" if self.local else None

    def size(self) -> int | None:
        """Bytes on disk, old versions included; None on object storage."""
        if self.local is None:
            return None
        return sum(_bytes(path) for path in self.local.rglob("*"))

    @staticmethod
    def _clear(folder: Path) -> None:
        """Remove what a killed maker left. Raises BankError where something else lies in the folder."""
        table = folder / f"{TABLE}.lance"
        names = {child.name for child in folder.iterdir()} - {LOCK, MAKING}
        half_made = table.is_dir() and not _has_version(table) and not any((table / "data").glob("*"))
        if names - ({table.name} if half_made else set()):
            raise BankError(f"{folder} is not an empty folder, nor a bank.", cure="Name a new or an empty folder.")
        shutil.rmtree(table, ignore_errors=True)


def asynchronous(table: Any) -> Any:
    """The lancedb.AsyncTable within a table: the same handle, at the same version."""
    return table._table  # it has no public name; pyproject.toml bounds LanceDB for it


def wait(work: Coroutine[Any, Any, T]) -> T:
    """Run on LanceDB's event loop, from any thread but its own.

    The synchronous tables go to that loop and back at each of their calls, nine in a search, which at 0.2 ms each took as long
    as comparing 20,000 vectors. So a whole search is one such call.
    """
    from lancedb.background_loop import LOOP

    result: T = LOOP.run(work)
    return result


async def version_of(table: Any, *, latest: bool) -> int:
    """The version of an asynchronous table, after a look for commits of other processes if `latest`."""
    if latest:
        await table.checkout_latest()
    return int(await table.version())


def _lancedb() -> Any:
    os.environ.setdefault("LANCEDB_LOG", _QUIET)  # read once, when LanceDB is imported
    import lancedb

    return lancedb


def _has_version(table: Path) -> bool:
    with suppress(OSError):
        return any((table / "_versions").iterdir())
    return False


def _bytes(path: Path) -> int:
    try:
        return path.stat().st_size if path.is_file() else 0
    except FileNotFoundError:  # a writer's temporary file, gone since it was listed
        return 0
