"""Which trials of a task folder hold a solvable game, remembered, so that listing a split does not open every game.

Whether a game is solvable stands at the end of its file. A task folder all of whose trials are solvable goes into the index
and is not looked into again until trials are added to it or taken away. Other folders are looked into each time, so that a
download which was not yet finished, or a game made later, is not missed.
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
        self._known: dict[str, Any] = self._read()
        self._changed = False

    def solvable(self, group: str) -> list[str]:
        """The solvable trials of a task folder, sorted."""
        place = f"{self._folder}/{group}"
        changed = os.stat(place).st_mtime_ns
        remembered = self._known.get(group)
        if remembered is not None and remembered[0] == changed:
            return remembered[1]
        try:
            trials = sorted(os.listdir(place))
        except NotADirectoryError:
            return []
        found = [trial for trial in trials if is_solvable(f"{place}/{trial}/{GAME_FILE}")]
        if found and found == trials:
            self._known[group] = [changed, found]
            self._changed = True
        return found

    def save(self) -> None:
        """Write it down, if there is something new."""
        if self._file is None or not self._changed:
            return
        write_whole(self._file, json.dumps(self._known).encode())

    def _read(self) -> dict[str, Any]:
        if self._file is None:
            return {}
        try:
            known = json.loads(self._file.read_bytes())
        except (OSError, ValueError):
            return {}  # none yet, or damaged: made anew
        return known if isinstance(known, dict) else {}


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
        said = _SOLVABLE.search(end) or _SOLVABLE.search(Path(path).read_bytes())
    except OSError:
        return False
    finally:
        os.close(file)
    return said is not None and said[1] == b"true"
