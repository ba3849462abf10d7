"""A run's folder: resolved configuration, versions, whole-line appended episodes, log.

    config.json      re-runs the run as it is: exprag run --config RUN/config.json --out ELSEWHERE
    versions.json    packages, platform, environment fingerprint
    episodes.jsonl   one Trajectory a line, in the order in which they finished
    episodes.index   what they are in short (`exprag.runs.episode_index`); may be deleted
    log.txt          what happened, with times; tracebacks of plugins' faults
    run.lock         held by the process that plays here (`exprag.runs.lock`)

A run that learns adds what `exprag.runs.learning` says.

An episode counts once its whole line is on disk. A line torn by a kill is cut off when the run is continued.
"""

from __future__ import annotations

import platform
import shutil
from collections.abc import Collection, Sequence
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

from exprag.errors import ExpragError, RunError
from exprag.files import PARTIAL, append_line, cannot_write, cut_torn_line, read_jsonl, write_json
from exprag.logs import LOG
from exprag.plugins import registry
from exprag.runs.config import RunConfig, flat
from exprag.runs.episode_index import Entry, EpisodeIndex
from exprag.runs.lock import HOLDER, LOCK
from exprag.text import redact
from exprag.trajectory import Task, Trajectory, now

EPISODES = "episodes.jsonl"
LEARNED = "learned.jsonl"
ROUND = "round.json"
BANK = "bank"
LEARNED_FILES = (LEARNED, ROUND)
# What a start that was killed before config.json was whole may leave.
_OWN = {LOG, LOCK, HOLDER, f"config.json{PARTIAL}", "versions.json", f"versions.json{PARTIAL}"}
PACKAGES = ("exprag", "langgraph", "langchain-core", "lancedb", "pydantic", "numpy", "transformers", "torch", "peft")


class RunDirectory:
    """One run on disk; open it with `prepare`, which creates it or checks that it is the same run."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._index = EpisodeIndex(self.episodes_path)

    @property
    def episodes_path(self) -> Path:
        return self.path / EPISODES

    def check(self) -> None:
        """Raises RunError where something else lies at this place. What a start that was killed leaves behind is not something
        else."""
        if self.path.exists() and not self.path.is_dir():
            raise RunError(f"{self.path} is a file, not a folder.", cure="Choose another --out.")
        if (self.path / "config.json").exists() or not self.path.exists():
            return
        if others := sorted({child.name for child in self.path.iterdir()} - _OWN):
            raise RunError(f"{self.path} is not empty and not a run directory: {others[0]}.", cure="Choose another --out.")

    def prepare(self, config: RunConfig) -> RunConfig:
        """Create the folder, or take it up again. Returns the configuration in force (a pinned bank version is kept).

        Raises RunError if the folder holds another experiment or is not a run directory. A folder whose creation was killed, or
        failed on a full disk, is created by the next call.
        """
        self.check()
        line = "created"
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            for leftover in self.path.glob(f"*{PARTIAL}"):
                if leftover.is_file():
                    leftover.unlink()
            if (self.path / "config.json").exists() and self.entries():
                config = self.check_same(config)
                line = "continued"
            elif (self.path / "config.json").exists() and self._is_other(config):  # without episodes nothing is lost
                for name in LEARNED_FILES:
                    (self.path / name).unlink(missing_ok=True)
                shutil.rmtree(self.path / BANK, ignore_errors=True)
            torn = cut_torn_line(self.episodes_path) if self.episodes_path.exists() else 0
        except OSError as error:
            raise cannot_write(self.path, error) from error
        write_json(self.path / "config.json", config.model_dump(mode="json"))
        self._index.save()
        self.log(line)
        if torn:
            self.log(f"cut off a torn line of {torn} bytes")
        return config

    def check_same(self, config: RunConfig) -> RunConfig:
        """The configuration in force for a run that has episodes. Raises RunError where it is of another experiment."""
        earlier = self.config(allow_code=True)  # only compared with the one that is asked for
        if config.bank_version is None:
            config = config.model_copy(update={"bank_version": earlier.bank_version})
        if different := config.same_experiment(earlier):
            then, now_ = flat(earlier.model_dump()), flat(config.model_dump())
            differences = ", ".join(f"{name} ({then.get(name)!r} there, {now_[name]!r} now)" for name in different)
            raise RunError(f"{self.path} holds another run: {differences}.", cure="Choose another --out, or the same settings.")
        return config

    def _is_other(self, config: RunConfig) -> bool:
        try:
            return bool(config.same_experiment(self.config(allow_code=True)))
        except ExpragError:  # damaged, or of another version
            return True

    def config(self, *, allow_code: bool = False) -> RunConfig:
        """The configuration of the run. Code that it names is refused unless `allow_code`, as in `Settings.read`."""
        path = self.path / "config.json"
        if not path.exists():
            raise RunError(f"{self.path} is not a run directory: it has no config.json.")
        return RunConfig.read(path, allow_code=allow_code)

    def write_versions(self, fingerprint: str, **more: Any) -> None:
        installed = {d.name.lower(): d.version for d in distributions() if d.name}
        components = registry().components
        plugins = {component.distribution: component.version for component in components}
        write_json(
            self.path / "versions.json",
            {
                "python": platform.python_version(),
                "platform": platform.platform(),
                "fingerprint": fingerprint,
                "packages": {name: installed[name] for name in PACKAGES if name in installed},
                "plugins": dict(sorted(plugins.items())),
                **more,
            },
        )

    def episodes(self) -> list[Trajectory]:
        """The finished episodes, in the order in which they finished."""
        return list(read_jsonl(self.episodes_path, torn_tail_ok=True)) if self.episodes_path.exists() else []

    def entries(self) -> Sequence[Entry]:
        """What the finished episodes are in short, in their order: quick at any size."""
        return self._index.entries()

    def episodes_of(self, tasks: list[Task]) -> list[Trajectory]:
        """The finished episodes of these tasks, in the order of the tasks."""
        by_task = {entry.key: entry for entry in self.entries()}
        return list(self._index.read(by_task[task.key] for task in tasks if task.key in by_task))

    def append(self, trajectory: Trajectory) -> None:
        """One whole line, on disk when this returns."""
        append_line(self.episodes_path, trajectory.to_json())
        self._index.save()

    def drop_errors(self) -> int:
        """Forget the episodes that ended in an error, so that they are played again; returns how many."""
        return self.forget([entry.id for entry in self.entries() if entry.ended == "error"])

    def forget(self, ids: Collection[str]) -> int:
        """Take episodes out by id, so that their tasks are played again; returns how many."""
        entries, ids = self.entries(), set(ids)
        others = [entry for entry in entries if entry.id not in ids]
        count = len(entries) - len(others)
        if count:
            self._index.keep(others)
        return count

    def missing(self, tasks: list[Task]) -> list[Task]:
        """The tasks that have no episode yet."""
        keys = {entry.key for entry in self.entries()}
        return [task for task in tasks if task.key not in keys]

    def log(self, line: str) -> None:
        """Add a line to log.txt. Raises RunError where it cannot be written."""
        try:
            with open(self.path / LOG, "a", encoding="utf-8", errors="backslashreplace") as out:
                out.write(f"{now()} {redact(line)}\n")
        except OSError as error:
            raise cannot_write(self.path / LOG, error) from error
