"""A run's folder: resolved configuration, versions, whole-line appended episodes, log.

    config.json      re-runs the run as it is: exprag run --config RUN/config.json --out ELSEWHERE
    versions.json    packages, platform, environment fingerprint
    episodes.jsonl   one Trajectory a line, in the order in which they finished
    log.txt          what happened, with times

An episode counts once its whole line is on disk. A line torn by a kill is cut off when the run is continued.
"""

from __future__ import annotations

import platform
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

from exprag.errors import RunError
from exprag.files import append_line, cut_torn_line, read_jsonl, write_json, write_jsonl
from exprag.runs.config import RunConfig
from exprag.trajectory import Task, Trajectory, now

EPISODES = "episodes.jsonl"
PACKAGES = ("exprag", "langgraph", "langchain-core", "lancedb", "pydantic", "numpy", "transformers", "torch", "peft")


class RunDirectory:
    """One run on disk; open it with `prepare`, which creates it or checks that it is the same run."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)

    @property
    def episodes_path(self) -> Path:
        return self.path / EPISODES

    def prepare(self, config: RunConfig) -> RunConfig:
        """Create the folder, or take it up again. Returns the configuration in force (a pinned bank version is kept).

        Raises RunError if the folder holds another experiment or is not a run directory.
        """
        if (self.path / "config.json").exists() and self.episodes():  # without episodes nothing is lost by other settings
            earlier = self.config(allow_code=True)  # only compared with the one that is asked for
            if config.bank_version is None:
                config = config.model_copy(update={"bank_version": earlier.bank_version})
            different = config.same_experiment(earlier)
            if different:
                shown = ", ".join(f"{f} ({getattr(earlier, f)!r} there, {getattr(config, f)!r} now)" for f in different)
                raise RunError(f"{self.path} holds another run: {shown}.", cure="Choose another --out, or the same settings.")
            self._cut_torn_line()
            self.log("continued")
        else:
            if self.path.exists() and any(self.path.iterdir()) and not (self.path / "config.json").exists():
                raise RunError(f"{self.path} is not empty and not a run directory.", cure="Choose another --out.")
            self.path.mkdir(parents=True, exist_ok=True)
            self.log("created")
        write_json(self.path / "config.json", config.model_dump(mode="json"))
        return config

    def config(self, *, allow_code: bool = False) -> RunConfig:
        """The configuration of the run. Code that it names is refused unless `allow_code`, as in `Settings.read`."""
        path = self.path / "config.json"
        if not path.exists():
            raise RunError(f"{self.path} is not a run directory: it has no config.json.")
        return RunConfig.read(path, allow_code=allow_code)

    def write_versions(self, fingerprint: str, **more: Any) -> None:
        installed = {d.name.lower(): d.version for d in distributions() if d.name}
        write_json(
            self.path / "versions.json",
            {
                "python": platform.python_version(),
                "platform": platform.platform(),
                "fingerprint": fingerprint,
                "packages": {name: installed[name] for name in PACKAGES if name in installed},
                **more,
            },
        )

    def episodes(self) -> list[Trajectory]:
        """The finished episodes, in the order in which they finished."""
        return list(read_jsonl(self.episodes_path, torn_tail_ok=True)) if self.episodes_path.exists() else []

    def episodes_of(self, tasks: list[Task]) -> list[Trajectory]:
        """The finished episodes of these tasks, in the order of the tasks."""
        found = {episode.task.key: episode for episode in self.episodes()}
        return [found[task.key] for task in tasks if task.key in found]

    def append(self, trajectory: Trajectory) -> None:
        """One whole line, on disk when this returns."""
        append_line(self.episodes_path, trajectory.to_json())

    def drop_errors(self) -> int:
        """Forget the episodes that ended in an error, so that they are played again; returns how many."""
        episodes = self.episodes()
        kept = [episode for episode in episodes if episode.ended != "error"]
        if len(kept) < len(episodes):
            write_jsonl(self.episodes_path, kept)
        return len(episodes) - len(kept)

    def missing(self, tasks: list[Task]) -> list[Task]:
        """The tasks that have no episode yet."""
        done = {episode.task.key for episode in self.episodes()}
        return [task for task in tasks if task.key not in done]

    def log(self, line: str) -> None:
        with open(self.path / "log.txt", "a", encoding="utf-8", errors="backslashreplace") as out:
            out.write(f"{now()} {line}\n")

    def _cut_torn_line(self) -> None:
        if self.episodes_path.exists() and (torn := cut_torn_line(self.episodes_path)):
            self.log(f"cut off a torn line of {torn} bytes")
