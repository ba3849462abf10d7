"""What the episodes of a run are, without reading them: `episodes.index` has a short line for each line of `episodes.jsonl`.

The file is derived and may be deleted. It is trusted where the episodes have the size and the time of change that its last line
names. Else its lines are compared with the episodes by checksum: they stand as far as they agree; only what follows is parsed.
So a process that is killed between an episode and its line, a copied folder and an edited file cost time and nothing else.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple
from zlib import crc32

from exprag.errors import RecordError
from exprag.files import cannot_write, write_whole
from exprag.garbage import without_garbage_collection
from exprag.runs.episode_facts import facts_of
from exprag.trajectory import SCHEMA_VERSION, Trajectory

INDEX = "episodes.index"
_HEADER = "exprag episodes 1\n"


class Entry(NamedTuple):
    """One episode: what of it is needed to continue, count and watch a run, and where its line lies.

    usage    calls, prompt tokens, completion tokens and cached tokens by boundary ("agent", "retrieval" …)
    seconds  wall time by boundary ("environment", "retrieval", "model", "episode")
    """

    key: str
    id: str
    ended: str
    success: bool | None
    error: str
    created: str
    steps: int
    usage: dict[str, list[int]]
    seconds: dict[str, float]
    cost: float | None
    offset: int
    length: int
    checksum: int
    modified: int

    @property
    def end(self) -> int:
        """Where the line ends in `episodes.jsonl`, its newline included."""
        return self.offset + self.length


def entry_of(trajectory: Trajectory) -> Entry:
    """The entry of an episode that lies nowhere yet."""
    return Entry._make((*facts_of(trajectory.to_dict()), 0, 0, 0, 0))


class EpisodeIndex:
    """The entries of a file of episodes, brought up to date whenever they are asked for."""

    def __init__(self, episodes: Path) -> None:
        self._episodes, self._path = episodes, episodes.with_name(INDEX)
        self._entries: list[Entry] = []
        self._state = (-1, -1)  # size and time of change of the episodes when they were last looked at
        self._saved = 0  # entries on disk; -1: the file is to be written again

    def entries(self) -> Sequence[Entry]:
        """The episodes in the order in which they finished. Raises RecordError where a line is not one."""
        try:
            about = os.stat(self._episodes)
        except FileNotFoundError:
            self._entries, self._state, self._saved = [], (-1, -1), 0 if not self._path.exists() else -1
            return self._entries
        state = (about.st_size, about.st_mtime_ns)
        if state != self._state:
            with open(self._episodes, "rb") as file:
                self._refresh(file, *state)
            self._state = state
        return self._entries

    def save(self) -> None:
        """Bring the file of the index up to date. Only the process that holds the run directory may do so."""
        entries = self.entries()
        new = entries[max(self._saved, 0) :]
        if self._saved < 0:
            write_whole(self._path, _HEADER + _text(new))
        elif new:
            try:
                with open(self._path, "a", encoding="ascii") as out:
                    out.write(_text(new) if self._saved else _HEADER + _text(new))
            except OSError as error:
                raise cannot_write(self._path, error) from error
        self._saved = len(entries)

    def read(self, entries: Iterable[Entry]) -> Iterator[Trajectory]:
        """The episodes of these entries, whole."""
        with open(self._episodes, "rb") as file:
            for entry in entries:
                yield Trajectory.from_json(_line(file, entry).decode("utf-8", "surrogateescape"))

    def keep(self, entries: Sequence[Entry]) -> None:
        """Write the episodes again as a whole, with these alone."""
        partial = self._episodes.with_name(f"{self._episodes.name}.partial")
        try:
            with open(self._episodes, "rb") as file, open(partial, "wb") as out:
                for entry in entries:
                    out.write(_line(file, entry))
                out.flush()
                os.fsync(out.fileno())
            partial.replace(self._episodes)
        except OSError as error:
            partial.unlink(missing_ok=True)
            raise cannot_write(self._episodes, error) from error
        offset, moved = 0, []
        for entry in entries:
            moved.append(entry._replace(offset=offset))
            offset += entry.length
        about = os.stat(self._episodes)
        if moved:
            moved[-1] = moved[-1]._replace(modified=about.st_mtime_ns)
        self._entries, self._state, self._saved = moved, (about.st_size, about.st_mtime_ns), -1
        self.save()

    def _refresh(self, file: BinaryIO, size: int, modified: int) -> None:
        if not self._entries:
            self._entries, whole = _load(self._path)
            self._saved = len(self._entries) if whole else -1
        entries = self._entries
        if entries and (size, modified) == (entries[-1].end, entries[-1].modified):
            return
        appended = bool(entries) and self._state[0] == entries[-1].end < size  # since it was last looked at, by a writer of lines
        intact = len(entries) if appended and _fits(file, entries[-1]) else _count_intact(file, entries)
        if intact < len(entries):
            del entries[intact:]
            self._saved = -1
        new = list(_parse(file, entries[-1].end if entries else 0, self._episodes))
        entries += new
        if entries:
            entries[-1] = entries[-1]._replace(modified=modified)
            if not new:  # the last line on disk names another time
                self._saved = -1


def _text(entries: Iterable[Entry]) -> str:
    return "".join(json.dumps(entry, separators=(",", ":")) + "\n" for entry in entries)


def _load(path: Path) -> tuple[list[Entry], bool]:
    """The entries of the file, and whether more can be appended to it; none where it is damaged or of another version."""
    try:
        text = path.read_text(encoding="ascii")
        header, *lines = text[: text.rfind("\n") + 1].splitlines()
        if header + "\n" != _HEADER:
            return [], False
        with without_garbage_collection():
            entries = [Entry(*values) for values in json.loads(f"[{','.join(lines)}]")]
        all(entry.end >= 0 for entry in entries)  # they are numbers
    except FileNotFoundError:
        return [], True
    except (OSError, ValueError, TypeError, RecursionError):
        return [], False
    return entries, text.endswith("\n")


def _line(file: BinaryIO, entry: Entry) -> bytes:
    file.seek(entry.offset)
    return file.read(entry.length)


def _fits(file: BinaryIO, entry: Entry) -> bool:
    return crc32(_line(file, entry)) == entry.checksum


def _count_intact(file: BinaryIO, entries: Sequence[Entry]) -> int:
    """How many of the first entries agree with the lines of the file."""
    return next((count for count, entry in enumerate(entries) if not _fits(file, entry)), len(entries))


def _parse(file: BinaryIO, offset: int, path: Path) -> Iterator[Entry]:
    """The entries of the whole lines from an offset on; a torn last line is passed over."""
    file.seek(offset)
    for line in file:
        if not line.endswith(b"\n"):
            return
        if line.strip():
            text = line.decode("utf-8", "surrogateescape")
            try:
                facts = _facts(text)
            except RecordError as error:
                raise RecordError(f"{path}, line {_number(path, offset)}: {error.message}", cure=error.cure) from error
            yield Entry._make((*facts, offset, len(line), crc32(line), 0))
        offset += len(line)


def _facts(text: str) -> tuple[Any, ...]:
    """The facts of an episode's line; only one that this version did not write is validated as a whole."""
    try:
        data = json.loads(text)
        if data["schema_version"] == SCHEMA_VERSION:
            return facts_of(data)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        pass
    return facts_of(Trajectory.from_json(text).to_dict())


def _number(path: Path, offset: int) -> int:
    """The number of the line that begins at an offset."""
    with open(path, "rb") as file:
        return file.read(offset).count(b"\n") + 1
