"""Exclusion: no agent meets its own answer.

Applied twice, on purpose: as a condition of the search, and again by the retriever on what came back.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
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
        return next(self._reasons(trajectory), None) is None

    def why(self, trajectory: Trajectory) -> str:
        """Which rules exclude a trajectory, with commas between; "" if none does."""
        return ", ".join(self._reasons(trajectory))

    def _reasons(self, trajectory: Trajectory) -> Iterator[str]:
        task = trajectory.task
        if trajectory.id in self.trajectory_ids:
            yield "the episode itself"
        if task.key in self.task_keys:
            yield "the same task"
        if (task.environment, task.group) in self.groups:
            yield f"of the same group {task.group!r}"
        if task.type in self.types:
            yield f"of the type {task.type!r}"
        for environment, name, value in sorted(self.metadata):
            if task.environment == environment and _value(task, name) == value:
                yield f"the same {name} {value}"


def _value(task: Task, name: str) -> str:
    return repr(task.metadata.get(name))
