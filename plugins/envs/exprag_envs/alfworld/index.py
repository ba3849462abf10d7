"""Which trials of a task folder hold a solvable game, kept in an index, so that listing a split does not open every game.

The end of a game's file says whether the game is solvable. A task folder all of whose trials are solvable goes into the index
and is not read again until trials are added to it or removed. Other folders are read each time, so that an unfinished download
or a game made later is not missed.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from pathlib import Path
from typing import Any

from exprag_envs.alfworld.cache import write_whole

GAME_FILE = "game.tw-pddl"

_SOLVABLE = re.compile(rb'"solvable":\s*(true|false)')


class GameIndex:
    """The index of one split's folder; `cache_dir` None remembers nothing."""

    def __init__(self, folder: Path, cache_dir: Path | None) -> None:
        self._folder = folder
        name = f"{folder.name}-{hashlib.sha256(str(folder.resolve()).encode()).hexdigest()[:16]}.json"
        self._file = cache_dir / name if cache_dir else None
        self._entries: dict[str, Any] = self._read()
        self._is_dirty = False

    def solvable(self, group: str) -> list[str]:
        """The solvable trials of a task folder, sorted."""
        place = f"{self._folder}/{group}"
        modified = os.stat(place).st_mtime_ns
        entry = self._entries.get(group)
        if entry is not None and entry[0] == modified:
            return entry[1]
        try:
            trials = sorted(os.listdir(place))
        except NotADirectoryError:
            return []
        playable = [trial for trial in trials if is_solvable(f"{place}/{trial}/{GAME_FILE}")]
        if playable and playable == trials:
            self._entries[group] = [modified, playable]
            self._is_dirty = True
        return playable

    def save(self) -> None:
        """Write it down, if there is something new."""
        if self._file is None or not self._is_dirty:
            return
        write_whole(self._file, json.dumps(self._entries).encode())

    def _read(self) -> dict[str, Any]:
        if self._file is None:
            return {}
        try:
            entries = json.loads(self._file.read_bytes())
        except (OSError, ValueError):
            return {}  # none yet, or damaged: made again
        return entries if isinstance(entries, dict) else {}


def is_solvable(path: str) -> bool:
    """Whether a game file is there and says that it is solvable. Reads its end, where every known writer puts that."""
    try:
        file = os.open(path, os.O_RDONLY)
    except OSError:
        return False
    try:
        end = os.pread(file, 1024, max(0, os.lseek(file, 0, os.SEEK_END) - 1024))
        if b'"solvable": true' in end:
            return True
        mark = _SOLVABLE.search(end) or _SOLVABLE.search(Path(path).read_bytes())
    except OSError:
        return False
    finally:
        os.close(file)
    return mark is not None and mark[1] == b"true"
