"""The cache folder: the index of the games and their PDDL translations, which can always be made again."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path


def default_cache_dir() -> Path:
    """`exprag/alfworld` in the user's cache folder (XDG_CACHE_HOME, else ~/.cache)."""
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "exprag" / "alfworld"


def write_whole(path: Path, content: bytes) -> bool:
    """Write a cache file so that nobody ever sees half of it. False where it cannot be written: that stops no game.

    Not `exprag.files.write_whole`, which raises: a cache on a full or read-only disk is done without, and several processes may
    write the same entry at once, each through its own partial file.
    """
    partial = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, partial = tempfile.mkstemp(dir=path.parent, suffix=".partial")
        with os.fdopen(handle, "wb") as out:
            out.write(content)
        os.replace(partial, path)
    except OSError:
        if partial is not None:
            Path(partial).unlink(missing_ok=True)
        return False
    return True
