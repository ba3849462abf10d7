"""Where a bank lies: folder or object storage, its LanceDB table, and the lock of its one writer.

LanceDB is imported at first use. It is not fork-safe: worker processes are to be spawned, and open the bank themselves.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa

from exprag.bank.schema import TABLE
from exprag.errors import BankError, ExpragError

LOCK = "bank.lock"
LOCK_SECONDS = 600.0
_STEP_NS = 2_000_000_000
QUIET = "warn,lance::index::vector::builder=error"  # a line for every partition that an upkeep had nothing to add to


class Store:
    """One bank's place. `local` is its folder, None on object storage; there LanceDB's commits are still whole, but no lock
    keeps two writers of one new id apart."""

    def __init__(self, uri: str | Path) -> None:
        text = str(uri).removeprefix("file://")
        if not text:
            raise BankError("The bank has no name.", cure="Give a folder or a URI such as s3://bucket/bank.")
        # absolute, because a bare relative name may be taken for something else by LanceDB
        self.local = None if "://" in text else Path(text).expanduser().absolute()
        self.uri = str(self.local) if self.local else text
        self._connection: Any = None

    def _connect(self) -> Any:
        if self._connection is None:
            os.environ.setdefault("LANCEDB_LOG", QUIET)  # read once, when LanceDB is imported
            import lancedb

            with guard(f"The bank's place {self.uri} cannot be used"):
                self._connection = lancedb.connect(self.uri)
        return self._connection

    def exists(self) -> bool:
        if self.local and not (self.local / f"{TABLE}.lance").exists():
            return False
        with guard(f"The bank's place {self.uri} cannot be read"):
            return TABLE in self._connect().list_tables().tables

    def create(self, schema: pa.Schema) -> Any:
        """The new, empty table. Raises BankError where a bank is already, or a folder of something else."""
        if self.exists():
            raise BankError(f"There is a bank already: {self.uri}.", cure="Open it, or name another folder.")
        if self.local and self.local.exists() and {child.name for child in self.local.iterdir()} - {LOCK}:
            raise BankError(f"{self.uri} is not an empty folder, nor a bank.", cure="Name a new or an empty folder.")
        with guard(f"The bank {self.uri} cannot be created"):
            return self._connect().create_table(TABLE, schema=schema)

    def open(self) -> Any:
        """The table. Raises BankError where there is none."""
        if not self.exists():
            what = "is not a bank" if self.local and self.local.exists() else "does not exist"
            raise BankError(f"{self.uri} {what}.", cure=f"Create one: exprag bank create {self.uri}")
        with guard(f"The bank {self.uri} cannot be opened: its table is damaged or foreign"):
            return self._connect().open_table(TABLE)

    def stamp(self) -> int | None:
        """When the last commit was, to see cheaply that there was none since: equal stamps, same version. None where that
        cannot be told: on object storage, and for two seconds, since file systems count time in steps of up to that."""
        if self.local is None:
            return None
        try:
            told = (self.local / f"{TABLE}.lance" / "_versions").stat().st_mtime_ns
        except OSError:
            return None
        return told if time.time_ns() - told > _STEP_NS else None

    @contextmanager
    def writing(self) -> Iterator[None]:
        """One writer at a time among all processes of this machine. The system frees the lock of a killed one."""
        if self.local is None:
            yield
            return
        from filelock import FileLock, Timeout

        try:
            with guard(f"The bank {self.uri} cannot be written to"):
                self.local.mkdir(parents=True, exist_ok=True)
                lock = FileLock(self.local / LOCK)
                lock.acquire(timeout=LOCK_SECONDS)
        except Timeout as error:
            raise BankError(
                f"Another process has been writing to {self.uri} for {LOCK_SECONDS:.0f} s.", cure="Wait for it, or end it."
            ) from error
        try:
            yield
        finally:
            lock.release()

    def size(self) -> int | None:
        """Bytes on disk, old versions included; None on object storage."""
        if self.local is None:
            return None
        return sum(_bytes(path) for path in self.local.rglob("*"))


@contextmanager
def guard(what: str, cure: str = "") -> Iterator[None]:
    """Say in one BankError what LanceDB (RuntimeError, ValueError) or the file system (OSError) says in many ways."""
    try:
        yield
    except ExpragError:
        raise
    except (RuntimeError, ValueError, OSError, pa.ArrowException) as error:
        if type(error).__name__ == "Timeout":  # the lock's own: an OSError that its caller explains
            raise
        first = (str(error).strip().splitlines() or [type(error).__name__])[0][:300]
        raise BankError(f"{what} ({first}).", cure=cure) from error


def _bytes(path: Path) -> int:
    try:
        return path.stat().st_size if path.is_file() else 0
    except FileNotFoundError:  # a writer's temporary file, gone since it was listed
        return 0
