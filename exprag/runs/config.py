"""What a run is: one arm over tasks, fully resolved, so that the saved configuration re-runs it."""

from __future__ import annotations

import random
from collections import defaultdict
from typing import Literal

from pydantic import Field, JsonValue

from exprag.config import Arm
from exprag.contracts.environment import TextEnvironment
from exprag.errors import ConfigError
from exprag.trajectory import Task


class RunConfig(Arm):
    """One arm over tasks. `policy` "agent" runs the graph with `model`; "expert" plays the environment's own `expert`.

    Tasks: `split`, narrowed to `types`, at most `per_type` of each and `limit` in all, the first ones or, with `shuffle`,
    a sample drawn with `seed`; or `task_ids` by name. `bank` None is the arm without memory; `bank_version` is pinned when
    the run starts. `learn` lets the run's own episodes enter a copy of it (see `exprag.runs.learning`): the successful ones or
    all, where the function `learn_rule` ("module:function") agrees, after every `learn_every` tasks. `workers` 0 plays in this
    process. `max_steps` None: the environment's own limit.
    `graph` ("file.py:attribute" or "module:attribute") plays a graph of the user's own instead of the one that the arm says.
    """

    name: str = ""
    policy: Literal["agent", "expert"] = "agent"
    environment: str = Field(min_length=1)
    environment_options: dict[str, JsonValue] = Field(default_factory=dict)
    split: str = "test"
    types: tuple[str, ...] = ()
    task_ids: tuple[str, ...] = ()
    per_type: int | None = Field(None, ge=1)
    limit: int | None = Field(None, ge=1)
    shuffle: bool = False
    seed: int = 2025
    expert: str | None = None
    model: str = "case-based"
    graph: str | None = None
    bank: str | None = None
    bank_version: int | None = None
    learn: Literal["none", "success", "all"] = "none"
    learn_rule: str | None = None
    learn_every: int = Field(20, ge=1)
    max_steps: int | None = Field(None, ge=1)
    workers: int = Field(2, ge=0)

    def same_experiment(self, other: RunConfig) -> list[str]:
        """The fields in which the two differ, not counting those that cannot change a result."""
        ignored = {"workers"}
        return [f for f in type(self).model_fields if f not in ignored and getattr(self, f) != getattr(other, f)]


def choose_tasks(environment: TextEnvironment, config: RunConfig) -> list[Task]:
    """The tasks of a configuration, in a fixed order. Raises ConfigError where there are none."""
    if config.task_ids:
        return [environment.task(task_id) for task_id in config.task_ids]
    tasks = list(environment.tasks(config.split, config.types or None))
    if config.shuffle:
        random.Random(config.seed).shuffle(tasks)
    if config.per_type is not None:
        kept: dict[str, list[Task]] = defaultdict(list)
        for task in tasks:
            if len(kept[task.type]) < config.per_type:
                kept[task.type].append(task)
        tasks = [task for group in kept.values() for task in group]
    tasks = tasks[: config.limit]
    if not tasks:
        raise ConfigError(f"Environment {config.environment!r} has no tasks in split {config.split!r} of these types.")
    return tasks
