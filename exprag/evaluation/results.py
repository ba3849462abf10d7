"""A finished or unfinished run as its directory holds it."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from os.path import isdir, isfile
from pathlib import Path
from typing import Any

from exprag.errors import RunError
from exprag.files import read_jsonl
from exprag.trajectory import Trajectory

CURE = "Give the folder that `exprag run` or `exprag collect` wrote (--out)."


@dataclass(frozen=True)
class RunResult:
    """One arm as it was played."""

    name: str
    """The run's own name, else that of its folder."""
    config: dict[str, Any] = field(default_factory=dict)
    """The resolved configuration as its file has it, with what a later version may have added."""
    versions: dict[str, Any] = field(default_factory=dict)
    """Packages, platform and fingerprint of the environment."""
    episodes: tuple[Trajectory, ...] = ()
    """The episodes in the order in which they finished."""
    repeated: int = 0
    """Episodes that were left out, because the run already has one of the same task and seed."""
    folder: Path | None = field(default=None, compare=False)
    """The run directory that this was read from."""
    arm: str = ""
    """Of a cell of a matrix: the name of its arm."""
    scope: str = ""
    """Of a cell of a matrix: the name of the tasks that it was played on, where there are several; only runs of one scope are
    compared."""
    index_state: str | None = None
    """Of a cell of a matrix: what the agent might find, where that is varied."""
    seeds: tuple[int, ...] = ()
    """Of the cells of a matrix that are put together here: their seeds."""
    parts: tuple[RunResult, ...] = field(default=(), compare=False, repr=False)
    """The cells themselves, one a seed."""

    @property
    def learns(self) -> bool:
        """Whether the run's own episodes entered a copy of its bank while it was played."""
        return self.config.get("learn", "none") != "none"

    @property
    def bank(self) -> str | None:
        """Where the bank lies that the episodes read, None where that is not known. A run that learns reads its own copy,
        RUN/bank, and never the bank that it started from."""
        if self.learns:
            return None if self.folder is None else str(self.folder / "bank")
        uri = self.config.get("bank")
        return None if uri is None else str(uri)

    @property
    def has_memory(self) -> bool:
        return self.learns or self.config.get("bank") is not None

    @property
    def is_agent(self) -> bool:
        return self.config.get("policy", "agent") == "agent"

    @property
    def agent(self) -> dict[str, Any]:
        """What was chosen about memory and prompt; files of version 0.1 have it beside the other fields."""
        fields = self.config.get("agent", self.config)
        return fields if isinstance(fields, dict) else {}


def load_run(path: str | Path) -> RunResult:
    """Read a run directory; one that is still being written, or was killed, gives the episodes that are whole.

    An episode whose task and seed the run already has (two processes wrote into one directory) is left out and counted.
    Raises RunError for a folder that is missing or not a run directory, RecordError for a corrupt episode.
    """
    folder = Path(path)
    if not isdir(folder):
        reason = f"{folder} is a file, not a run directory." if isfile(folder) else f"There is no run directory {folder}."
        raise RunError(reason, cure=CURE)
    if not isfile(folder / "config.json"):
        raise RunError(f"{folder} is not a run directory: it has no config.json.", cure=CURE)
    config = _read_object(folder / "config.json")
    if "environment" not in config:
        raise RunError(f"{folder} is not a run directory: its config.json names no environment.", cure=CURE)
    versions = _read_object(folder / "versions.json") if (folder / "versions.json").exists() else {}
    lines = folder / "episodes.jsonl"
    episodes, repeated = once(read_jsonl(lines, torn_tail_ok=True) if lines.exists() else ())
    return RunResult(str(config.get("name") or folder.resolve().name), config, versions, episodes, repeated, folder)


def once(episodes: Iterable[Trajectory]) -> tuple[tuple[Trajectory, ...], int]:
    """The first episode of each task and seed, in their order, and how many others there were."""
    first: dict[tuple[str, int | None], Trajectory] = {}
    count = 0
    for count, episode in enumerate(episodes, 1):  # noqa: B007
        first.setdefault((episode.task.key, episode.provenance.seed), episode)
    return tuple(first.values()), count - len(first)


def distinct(runs: Sequence[RunResult]) -> list[RunResult]:
    """The runs with names that tell them apart: a repeated name gets its number."""
    counts: Counter[str] = Counter()
    names = {run.name for run in runs}
    renamed = []
    for run in runs:
        counts[run.name] += 1
        name, number = run.name, counts[run.name]
        while number > 1 and name in names:
            name, number = f"{run.name} #{number}", number + 1
        names.add(name)
        renamed.append(run if name == run.name else replace(run, name=name))
    return renamed


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
