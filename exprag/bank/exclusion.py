"""Exclusion: no agent meets its own answer.

Applied twice, on purpose: as a condition of the search, and again by the retriever on what came back.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Self

from exprag.bank.filters import both, is_in, literal
from exprag.trajectory import Task, Trajectory


@dataclass(frozen=True)
class Exclusion:
    """What must not be retrieved: tasks by key, groups of near-identical tasks as (environment, group), trajectories by id,
    task types, and tasks that share a metadata value, as (environment, name, value).

    Metadata is no column of a bank: `allows` decides on it, `to_where` leaves it out.
    """

    task_keys: frozenset[str] = frozenset()
    groups: frozenset[tuple[str, str]] = frozenset()
    trajectory_ids: frozenset[str] = frozenset()
    types: frozenset[str] = frozenset()
    metadata: frozenset[tuple[str, str, str]] = frozenset()

    @classmethod
    def of(cls, task: Task, trajectory_ids: Iterable[str] = (), exclude_by: Sequence[str] = ()) -> Self:
        """The default: never the task itself, nor its group where it has one, nor the named trajectories (the episode that
        is being trained on). `exclude_by` names metadata fields: tasks with the same value are excluded too (the same floor
        plan, the same product)."""
        groups = frozenset({(task.environment, task.group)}) if task.group else frozenset()
        shared = {(task.environment, name, _value(task, name)) for name in exclude_by if task.metadata.get(name) is not None}
        return cls(frozenset({task.key}), groups, frozenset(trajectory_ids), metadata=frozenset(shared))

    def to_where(self) -> str:
        """The SQL condition that a row must fulfil; "" if nothing is excluded."""
        parts = [f"NOT {is_in('task_key', self.task_keys)}"] if self.task_keys else []
        parts += [
            f"NOT (environment = {literal(environment)} AND task_group = {literal(group)})"
            for environment, group in sorted(self.groups)
        ]
        parts += [f"NOT {is_in('id', self.trajectory_ids)}"] if self.trajectory_ids else []
        parts += [f"NOT {is_in('type', self.types)}"] if self.types else []
        return both(*parts)

    def allows(self, trajectory: Trajectory) -> bool:
        """The same decision on a record in memory."""
        task = trajectory.task
        return (
            task.key not in self.task_keys
            and (task.environment, task.group) not in self.groups
            and trajectory.id not in self.trajectory_ids
            and task.type not in self.types
            and not any(task.environment == e and _value(task, name) == value for e, name, value in self.metadata)
        )


def _value(task: Task, name: str) -> str:
    return repr(task.metadata.get(name))
