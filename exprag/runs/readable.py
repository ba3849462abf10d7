"""Run directories on object storage, to be read: a copy in the user's cache, of which only new parts are fetched."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from filelock import FileLock

from exprag.errors import RunError
from exprag.files import beside, cannot_write, write_json
from exprag.runs.lock import HOLDER
from exprag.runs.mirror import STALE_SECONDS, cache_folder
from exprag.runs.object_store import ObjectStore, Stored, url_of

_TRIES = 5  # a part may be replaced between the reading of its name and its own


def readable(place: str | Path) -> Path:
    """The folder to read a run from: the place itself, or the copy of what lies at a URL now. It has no files where nothing lies
    there. Raises RunError where the storage cannot be read."""
    url = url_of(place)
    if url is None:
        return Path(place).expanduser()
    mirror = cache_folder(url)
    folder = mirror.parent / "read" / mirror.name
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder.parent / "read.lock"):
            _bring(ObjectStore(url), folder, folder.parent / "read.json")
    except OSError as error:
        raise cannot_write(folder, error) from error
    return folder


def _bring(store: ObjectStore, folder: Path, note: Path) -> None:
    for _ in range(_TRIES):
        stored, age = store.read()
        try:
            before = _noted(note)
            for name, parts in stored.files.items():
                _write(store, folder / Path(name).name, parts, before.get(name, []))
        except FileNotFoundError:
            note.unlink(missing_ok=True)
            continue
        for name in before.keys() - stored.files.keys():
            (folder / Path(name).name).unlink(missing_ok=True)
        write_json(note, stored.files)
        _tell_holder(folder, stored, age)
        return
    raise RunError(f"{store.url} changed while it was read.", cure="Try again.")


def _noted(note: Path) -> dict[str, list[list[Any]]]:
    try:
        files: dict[str, list[list[Any]]] = json.loads(note.read_text(encoding="utf-8"))
        return files
    except (OSError, ValueError):
        return {}


def _write(store: ObjectStore, path: Path, parts: list[list[Any]], before: list[list[Any]]) -> None:
    """Bring one file from the parts that it was made of before to those of now."""
    pairs = enumerate(zip(before, parts, strict=False))
    same = next((place for place, (old, new) in pairs if old != new), min(len(before), len(parts)))
    if path.exists() and same == len(before) == len(parts):
        return
    data = [store.download(part) for part in parts[same:]]
    grown = bool(before) and same >= len(before) - 1 and sum(part[1] for part in parts) >= sum(part[1] for part in before)
    if path.exists() and grown:  # the last part begins as it did before: nobody who reads meanwhile sees less
        with open(path, "rb+") as out:
            out.seek(sum(part[1] for part in parts[:same]))
            out.writelines(data)
        return
    data = [store.download(part) for part in parts[:same]] + data
    with beside(path) as partial, open(partial, "wb") as out:
        out.writelines(data)


def _tell_holder(folder: Path, stored: Stored, age: float) -> None:
    """Have the folder say who plays, as that of a run of this machine does."""
    if stored.holder and age < STALE_SECONDS:
        write_json(folder / HOLDER, stored.holder)
    else:
        (folder / HOLDER).unlink(missing_ok=True)
