"""Parts of a run's tasks, for machines that share nothing: each plays one, `exprag.runs.merging` joins the run directories.

A shard is an ordinary run directory. It also says of which list of tasks it is a part:

    tasks.json    {shard, count: tasks of the whole run, digest: of their keys, tasks: the keys of this shard}
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from exprag.errors import ConfigError, RunError
from exprag.files import write_json
from exprag.runs.config import RunConfig
from exprag.trajectory import Task

TASKS = "tasks.json"


class Part(NamedTuple):
    """One part of `total`, by its number from 1."""

    number: int
    total: int

    @classmethod
    def parse(cls, text: str) -> Part:
        """Of "2/8"; the text has been validated by `RunConfig`."""
        number, _, total = text.partition("/")
        return cls(int(number), int(total))

    def of(self, tasks: Sequence[Task]) -> list[Task]:
        """Every `total`th task from the `number`th on: the parts have every type of task alike, and may be empty."""
        return list(tasks[self.number - 1 :: self.total])


def check_shard(config: RunConfig) -> None:
    """Raises ConfigError where shards of this configuration could not be joined to one run."""
    if config.learn != "none":
        raise ConfigError(
            "A run that learns cannot be played in shards: each round reads what the one before it added.",
            cure="Leave out --shard, or --learn.",
        )
    if not config.name:
        raise ConfigError("A shard needs the name of its run, the same in all shards.", cure="Give --name NAME.")


def write_share(folder: Path, part: Part, tasks: Sequence[Task]) -> None:
    """Record which of the run's `tasks` this shard has."""
    keys = [task.key for task in part.of(tasks)]
    digest = hashlib.sha256("\n".join(task.key for task in tasks).encode("utf-8", "surrogatepass")).hexdigest()
    write_json(folder / TASKS, {"shard": f"{part.number}/{part.total}", "count": len(tasks), "digest": digest, "tasks": keys})


def read_share(folder: Path) -> dict[str, Any]:
    """What `write_share` wrote. Raises RunError where it is missing or damaged."""
    path = folder / TASKS
    try:
        share = json.loads(path.read_text(encoding="utf-8"))
        return {name: share[name] for name in ("shard", "count", "digest", "tasks")}
    except FileNotFoundError as error:
        message = f"{folder} is not a shard: it has no {TASKS}."
        raise RunError(message, cure="A shard is played by exprag run --shard I/N.") from error
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RunError(f"{path} cannot be read: {error}.", cure="Start the shard again: it is written again.") from error
