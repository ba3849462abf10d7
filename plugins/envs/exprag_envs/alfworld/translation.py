"""A cache of the PDDL → SAS translations of games, keyed by their inputs: in memory, and on disk as compressed JSON.

The alfworld package translates a game four times for one episode (twice per load, twice per reset), a quarter of a second
each time; the result depends on nothing but the domain, the problem and the translator's version.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import sys
from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from cachetools import LRUCache

from exprag_envs.alfworld.cache import write_whole

FORMAT = 1


class TranslationCache:
    """`pddl2sas` of fast-downward, cached: on disk below `folder` (None: not on disk), and up to `capacity` games in memory."""

    def __init__(self, folder: Path | None, capacity: int = 32) -> None:
        self.folder = folder
        self._memory: LRUCache[str, tuple[Any, str]] = LRUCache(capacity)
        self._salt = f"{FORMAT} {version('fast-downward-textworld')} {version('textworld')}"

    def __call__(self, domain: str, problem: str, verbose: bool = False, optimize: bool = False) -> tuple[Any, str]:
        """The task's types, objects, actions and first facts, and its SAS text.

        `optimize` asks for a second form that only the planner reads. No planner runs here, so the first form answers
        for both and half of the work is saved.
        """
        key = hashlib.sha256("\0".join((self._salt, domain, problem)).encode()).hexdigest()
        translation = self._memory.get(key)
        if translation is None:
            content = self._read(key)
            if content is None:
                content = _translate(domain, problem)
                self._write(key, content)
            translation = self._memory[key] = _revive(content), content["sas"]
        return translation

    def _path(self, key: str) -> Path | None:
        return self.folder / key[:2] / f"{key}.json.gz" if self.folder else None

    def _read(self, key: str) -> dict[str, Any] | None:
        path = self._path(key)
        if path is None:
            return None
        try:
            return json.loads(gzip.decompress(path.read_bytes()))
        except (OSError, EOFError, ValueError):
            return None  # not there, or damaged: translated again and overwritten

    def _write(self, key: str, content: dict[str, Any]) -> None:
        path = self._path(key)
        if path is None:
            return
        if not write_whole(path, gzip.compress(json.dumps(content).encode(), compresslevel=5, mtime=0)):
            self.folder = None  # full or read-only: not tried again


def _translate(domain: str, problem: str) -> dict[str, Any]:
    """Run the translator and keep, as plain JSON, what `PddlState` reads of its result."""
    from fast_downward.interface import pddl2sas  # not the package's top level, where a substitute may stand
    from fast_downward.translate.pddl import conditions

    argv = sys.argv
    try:
        task, sas = pddl2sas(domain, problem)
    finally:
        sys.argv = argv  # the translator leaves its own there
    # Assignments are action costs and distances, which PddlState passes over; atoms of "=" likewise.
    atoms = [atom for atom in task.init if isinstance(atom, conditions.Atom) and atom.predicate != "="]
    return {
        "sas": sas,
        "types": [[kind.name, list(kind.supertype_names)] for kind in task.types],
        "objects": [[thing.name, thing.type_name] for thing in task.objects],
        "actions": [[a.name, [[p.name, p.type_name] for p in a.parameters]] for a in task.actions],
        "facts": [[atom.predicate, list(atom.args)] for atom in atoms],
    }


def _revive(content: dict[str, Any]) -> SimpleNamespace:
    from fast_downward.translate.pddl import conditions

    return SimpleNamespace(
        types=[SimpleNamespace(name=name, supertype_names=above) for name, above in content["types"]],
        objects=[SimpleNamespace(name=name, type_name=kind) for name, kind in content["objects"]],
        actions=[
            SimpleNamespace(name=name, parameters=[SimpleNamespace(name=p, type_name=kind) for p, kind in parameters])
            for name, parameters in content["actions"]
        ],
        init=[conditions.Atom(predicate, args) for predicate, args in content["facts"]],
    )
