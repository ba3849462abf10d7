"""A finished or unfinished run as its directory holds it, and which episodes of two runs belong together."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from exprag.errors import RunError
from exprag.files import read_jsonl
from exprag.trajectory import Trajectory

CURE = "Give the folder that `exprag run` or `exprag collect` wrote (--out)."


@dataclass(frozen=True)
class RunResult:
    """One arm: its name, resolved configuration, versions, and episodes in the order in which they finished."""

    name: str
    config: dict[str, Any] = field(default_factory=dict)
    versions: dict[str, Any] = field(default_factory=dict)
    episodes: tuple[Trajectory, ...] = ()

    @property
    def has_memory(self) -> bool:
        return self.config.get("bank") is not None

    @property
    def is_agent(self) -> bool:
        return self.config.get("policy", "agent") == "agent"


def load_run(path: str | Path) -> RunResult:
    """Read a run directory; one that is still being written, or was killed, gives the episodes that are whole.

    Raises RunError for a folder that is missing or not a run directory, RecordError for a corrupt episode.
    """
    folder = Path(path)
    if not folder.is_dir():
        raise RunError(f"There is no run directory {folder}.", cure=CURE)
    if not (folder / "config.json").is_file():
        raise RunError(f"{folder} is not a run directory: it has no config.json.", cure=CURE)
    config = _read_object(folder / "config.json")
    if "environment" not in config:
        raise RunError(f"{folder} is not a run directory: its config.json names no environment.", cure=CURE)
    versions = _read_object(folder / "versions.json") if (folder / "versions.json").exists() else {}
    episodes = folder / "episodes.jsonl"
    found = tuple(read_jsonl(episodes, torn_tail_ok=True)) if episodes.exists() else ()
    return RunResult(str(config.get("name") or folder.resolve().name), config, versions, found)


def distinct(runs: Sequence[RunResult]) -> list[RunResult]:
    """The runs with names that tell them apart: a repeated name gets its number."""
    seen: Counter[str] = Counter()
    taken = {run.name for run in runs}
    named = []
    for run in runs:
        seen[run.name] += 1
        name, number = run.name, seen[run.name]
        while number > 1 and name in taken:
            name, number = f"{run.name} #{number}", number + 1
        taken.add(name)
        named.append(run if name == run.name else replace(run, name=name))
    return named


@dataclass(frozen=True)
class Pairing:
    """Episodes of two arms that played the same task: (arm, baseline) pairs, and what each arm has alone."""

    pairs: tuple[tuple[Trajectory, Trajectory], ...] = ()
    only_arm: tuple[Trajectory, ...] = ()
    only_baseline: tuple[Trajectory, ...] = ()


def pair(arm: Sequence[Trajectory], baseline: Sequence[Trajectory]) -> Pairing:
    """Pair by task; where an arm played a task more than once, by task and seed (and order, if even the seed repeats)."""
    repeated = {key for episodes in (arm, baseline) for key, n in Counter(e.task.key for e in episodes).items() if n > 1}
    ours, theirs = _keyed(arm, repeated), _keyed(baseline, repeated)
    return Pairing(
        tuple((episode, theirs[key]) for key, episode in ours.items() if key in theirs),
        tuple(episode for key, episode in ours.items() if key not in theirs),
        tuple(episode for key, episode in theirs.items() if key not in ours),
    )


def _keyed(episodes: Sequence[Trajectory], repeated: set[str]) -> dict[tuple[object, ...], Trajectory]:
    found: dict[tuple[object, ...], Trajectory] = {}
    times: Counter[tuple[object, ...]] = Counter()
    for episode in episodes:
        key = episode.task.key
        with_seed = (key, episode.provenance.seed if key in repeated else None)
        found[(*with_seed, times[with_seed])] = episode
        times[with_seed] += 1
    return found


def _read_object(path: Path) -> dict[str, Any]:
    try:
        # NaN and Infinity are not JSON: kept as words, so that every report can be written.
        data = json.loads(path.read_text(encoding="utf-8"), parse_constant=str)
    except OSError as error:
        raise RunError(f"Cannot read {path}: {error.strerror}.", cure=CURE) from error
    except (ValueError, RecursionError) as error:
        raise RunError(f"{path} is not valid JSON: {error}.", cure=CURE) from error
    if not isinstance(data, dict):
        raise RunError(f"{path} holds no JSON object.", cure=CURE)
    return data
