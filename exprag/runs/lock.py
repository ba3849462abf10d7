"""One process at a time plays in a run directory; the second is told who does."""

from __future__ import annotations

import errno
import json
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from exprag.errors import RunError
from exprag.files import cannot_write
from exprag.trajectory import now

LOCK = "run.lock"
HOLDER = "run.lock.holder"
_NO_LOCKS = {errno.ENOSYS, errno.ENOLCK, errno.ENOTSUP}


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the run directory, making the folder if it is missing. The system frees the lock of a killed process.

    Raises RunError naming process, machine and time where another holds it.
    """
    holder = folder / HOLDER
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / LOCK)
        lock.acquire(timeout=0)
    except Timeout as error:
        raise RunError(
            f"{folder} is being played by {_describe(folder)}.", cure="Wait for it, end it, or choose another --out."
        ) from error
    except (FileExistsError, NotADirectoryError) as error:
        raise RunError(f"{folder} is a file, not a folder.", cure="Choose another --out.") from error
    except (OSError, NotImplementedError) as error:
        if isinstance(error, NotImplementedError) or error.errno in _NO_LOCKS:
            yield  # a file system without locks: nobody can be kept out
            return
        raise cannot_write(folder, error) from error
    try:
        try:
            holder.write_text(json.dumps({"pid": os.getpid(), "host": socket.gethostname(), "since": now()}), encoding="utf-8")
        except OSError as error:
            raise cannot_write(holder, error) from error
        yield
    finally:
        holder.unlink(missing_ok=True)
        lock.release()


def is_held(folder: str | Path) -> bool:
    """Whether a process plays in a run directory, as far as its note says; on another machine it is taken at its word."""
    return holder_of(Path(folder)) is not None


def holder_of(folder: Path) -> dict[str, Any] | None:
    """Who plays in the run directory now, {"pid", "host", "since"}; None where nobody does. Only looks, and holds nothing."""
    try:
        about = json.loads((folder / HOLDER).read_text(encoding="utf-8"))
        return about if about["host"] != socket.gethostname() or is_alive(about["pid"]) else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _describe(folder: Path) -> str:
    """Who holds the lock. For an instant it may be held by one who has not written so yet, after one who was killed."""
    for _ in range(20):
        if about := holder_of(folder):
            return f"process {about['pid']} on {about['host']}, since {about.get('since')}"
        time.sleep(0.05)
    return "another process"


def is_alive(pid: int) -> bool:
    if os.name == "nt":  # there, signal 0 is Ctrl-C
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        pass
    return True
