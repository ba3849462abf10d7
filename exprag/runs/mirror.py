"""A run directory on object storage is played in a folder of this machine, and mirrored.

The folder lies in the user's cache, under a name made of the URL. A run begins by taking over what the storage holds, unless the
folder was the last that was played in: then it holds the same or, after a kill, a little more. While it is played, whole lines
and changed files are put every `EVERY_SECONDS`, and at the end. A killed process loses the lines of one interval for others.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
import socket
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO
from zlib import crc32

from filelock import FileLock, Timeout

from exprag.errors import ExpragError, RunError
from exprag.files import PARTIAL, beside, cannot_write, write_json
from exprag.logs import LOG
from exprag.runs.episode_index import INDEX
from exprag.runs.lock import HOLDER, LOCK, is_alive
from exprag.runs.object_store import Lost, ObjectStore, Stored, url_of
from exprag.trajectory import now

log = logging.getLogger("exprag.runs")

EVERY_SECONDS = 30.0
"""Between two puts, which also renew the lock."""
STALE_SECONDS = 300.0
"""After which one that has not been renewed counts as left behind."""
PART = 4 * 2**20  # bytes; the last part of a file is replaced until it is that long
_APPENDED = ("episodes.jsonl", LOG)
_OWN = {LOCK, HOLDER, INDEX}


def cache_folder(url: str) -> Path:
    """The folder of this machine in which a run on object storage is played; named as the run is."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser()
    return cache / "exprag" / "runs" / hashlib.sha256(url.encode()).hexdigest()[:16] / url.rpartition("/")[2]


def working_folder(place: str | Path) -> Path:
    """The folder that a run is played in: the place itself, or the mirror of a URL."""
    url = url_of(place)
    return cache_folder(url) if url else Path(place).expanduser()


@contextmanager
def mirrored(url: str) -> Iterator[Mirror]:
    """Hold the run at a URL while it is played in `mirror.folder`. Raises RunError where another process holds it, and in the end
    where the last put failed: the folder then has what the storage lacks, and the next run on this machine puts it."""
    folder = cache_folder(url)
    folder.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder.parent / "mirror.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        raise RunError(f"{url} is being played by another process of this machine.", cure="Wait for it, or end it.") from error
    try:
        mirror = Mirror(url, folder)
        mirror.take()
        thread = threading.Thread(target=mirror.work, daemon=True, name="exprag-mirror")
        thread.start()
        try:
            yield mirror
        except BaseException:
            mirror.stop.set()
            thread.join()
            with suppress(ExpragError):  # what ended the run is what is told
                mirror.release()
            raise
        mirror.stop.set()
        thread.join()
        mirror.release()
    finally:
        lock.release()


class Mirror:
    """One run on object storage, held and mirrored by this process."""

    def __init__(self, url: str, folder: Path) -> None:
        self.folder, self.stop = folder, threading.Event()
        self._store = ObjectStore(url)
        self._stored = Stored()
        self._inodes: dict[str, list[int]] = {}
        """Inode, size and time of change of the files as they were put."""
        self._note = folder.parent / "mirror.json"
        self._failing: tuple[float, ExpragError] | None = None

    def take(self) -> None:
        """Hold the run, and bring the folder to what the storage has. Raises RunError where somebody else holds it."""
        stored, age = self._store.read()
        holder = stored.holder
        if holder and age < STALE_SECONDS and not _has_ended(holder):
            who = f"process {holder['pid']} on {holder['host']}, since {holder['since']}"
            cure = f"Wait for it, or end it: {STALE_SECONDS:.0f} s after its last sign of life it counts as ended."
            raise RunError(f"{self._store.url} is being played by {who}.", cure=cure)
        about = {"pid": os.getpid(), "host": socket.gethostname(), "since": now()}
        self._stored = replace(stored, session=uuid.uuid4().hex, holder=about)
        sessions, self._inodes = self._noted()
        if stored.session in sessions and self._is_whole(stored):
            self._save(stored.session)  # killed after the put, it is still the newest
            self._store.put(self._stored)
        else:
            self._store.put(self._stored)
            self._fetch()
        self._save()

    def work(self) -> None:
        """Put what is new, again and again, until `stop` is set."""
        while not self.stop.wait(EVERY_SECONDS):
            began = time.monotonic()
            try:
                self.put()
                self._failing = None
            except Lost as error:
                self._failing = (0.0, error)
                return
            except ExpragError as error:  # the storage may come back
                log.warning("%s", error)
                self._failing = self._failing or (began, error)

    def check(self) -> None:
        """Raises RunError where it makes no sense to play on: another process does, or the storage has failed for long."""
        failing = self._failing
        if failing and (isinstance(failing[1], Lost) or time.monotonic() - failing[0] > STALE_SECONDS):
            raise failing[1]

    def put(self, *, last: bool = False) -> None:
        """Put what is new in the folder, and renew the lock; with `last`, give it up."""
        files, inodes = dict(self._stored.files), {}
        for path in sorted(self.folder.glob("*")):
            if path.is_file() and path.name not in _OWN and not path.name.endswith(PARTIAL):
                files[path.name], inodes[path.name] = self._upload(path)
        files = {name: parts for name, parts in files.items() if name in inodes}
        stored = replace(self._stored, files=files, holder=None if last else self._stored.holder)
        self._store.put(stored)
        replaced = self._stored.objects - stored.objects
        self._stored, self._inodes = stored, inodes
        self._save()
        with suppress(ExpragError):  # they are swept at the end
            self._store.delete(sorted(replaced))

    def release(self) -> None:
        """Put what is left and let others play. Raises RunError where that cannot be done."""
        try:
            self.put(last=True)
        except Lost:
            raise
        except ExpragError as error:
            cure = f"{self.folder} has what is missing there: the same command on this machine puts it. {error.cure}"
            raise type(error)(error.message, cure=cure) from error
        with suppress(ExpragError):
            self._store.sweep(self._stored)

    def _upload(self, path: Path) -> tuple[list[list[Any]], list[int]]:
        """The parts of a file, of which new ones are put; and what it is known by."""
        parts, before = list(self._stored.files.get(path.name, [])), self._inodes.get(path.name)
        with open(path, "rb") as file:
            about = os.fstat(file.fileno())
            identity = [about.st_ino, about.st_size, about.st_mtime_ns]
            if before == identity:
                return parts, identity
            grown = before is not None and before[0] == about.st_ino and _ends_with(file, parts)
            if not (path.name in _APPENDED and grown):
                parts = []
            elif parts and parts[-1][1] < PART:
                parts.pop()
            file.seek(sum(part[1] for part in parts))
            data = file.read(about.st_size - file.tell())
        if path.name in _APPENDED:
            data = data[: data.rfind(b"\n") + 1]
        parts += [self._store.upload(data[start : start + PART]) for start in range(0, len(data), PART)]
        return parts, identity

    def _fetch(self) -> None:
        """Make the folder what the storage has."""
        try:
            shutil.rmtree(self.folder, ignore_errors=True)
            with beside(self.folder) as partial:
                partial.mkdir()
                for name, parts in self._stored.files.items():
                    with open(partial / Path(name).name, "wb") as out:
                        for part in parts:
                            out.write(self._store.download(part))
        except FileNotFoundError as error:
            raise RunError(f"{self._store.url} lacks a part that it names.", cure="Choose another --out.") from error
        except OSError as error:
            raise cannot_write(self.folder, error) from error
        self._inodes = {}
        for name in self._stored.files:
            about = os.stat(self.folder / Path(name).name)
            self._inodes[name] = [about.st_ino, about.st_size, about.st_mtime_ns]

    def _is_whole(self, stored: Stored) -> bool:
        """Whether the folder has as much of each file as the storage: nobody has emptied it."""
        sizes = {self.folder / name: sum(part[1] for part in parts) for name, parts in stored.files.items() if name in _APPENDED}
        return self.folder.is_dir() and all(path.exists() and path.stat().st_size >= size for path, size in sizes.items())

    def _noted(self) -> tuple[list[str], dict[str, list[int]]]:
        """The sessions that the folder is of, and what its files were known by; none where it is not known."""
        try:
            about = json.loads(self._note.read_text(encoding="utf-8"))
            return list(about["sessions"]), dict(about["inodes"])
        except (OSError, ValueError, KeyError, TypeError):
            return [], {}

    def _save(self, *earlier: str) -> None:
        """Note that the folder is that of this session: the newest, where nobody has played elsewhere since."""
        write_json(self._note, {"sessions": [*earlier, self._stored.session], "inodes": self._inodes})


def _has_ended(holder: dict[str, Any]) -> bool:
    """Whether a holder of this machine lives no more. This process itself plays here only once: then the holder is left over."""
    pid = holder["pid"]
    return holder["host"] == socket.gethostname() and (pid == os.getpid() or not is_alive(pid))


def _ends_with(file: BinaryIO, parts: list[list[Any]]) -> bool:
    """Whether a file has the last of these parts at its place."""
    if not parts:
        return True
    file.seek(sum(part[1] for part in parts[:-1]))
    return crc32(file.read(parts[-1][1])) == parts[-1][2]
