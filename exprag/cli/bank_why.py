"""Why a search leaves out what lies near: the exclusion, a filter, quarantine, or the selector."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import NamedTuple

from exprag.bank import Filter
from exprag.bank.exclusion import Exclusion
from exprag.bank.filters import QUARANTINED, TRUSTED
from exprag.retrieval import Retriever
from exprag.trajectory import Task, Trajectory


class LeftOut(NamedTuple):
    """A trajectory near the query that was not recalled. `score` as the bank gives it."""

    trajectory: Trajectory
    score: float
    why: str


def left_out(retriever: Retriever, query: str, recalled: set[str], task: Task | None, n: int) -> list[LeftOut]:
    """The n nearest to the query that are not among `recalled` (ids), nearest first."""
    bank, where = retriever.bank, retriever.where
    if task is not None and not where.environment:
        where = replace(where, environment=task.environment)
    every = Filter(trust=(TRUSTED, QUARANTINED))
    hits = bank.search(query, strategy=retriever.key_strategy, k=len(recalled) + n, where=every, mode=retriever.search_mode)
    ids = tuple(hit.trajectory.id for hit in hits)
    doubted = {trajectory.id for trajectory in bank.trajectories(Filter(ids=ids, trust=(QUARANTINED,)))} if ids else set()
    pool, eligible = retriever.selector.pool(retriever.k), 0
    others = []
    for hit in hits:
        trajectory = hit.trajectory
        why = _excluded(retriever, trajectory, task) or _filtered(where, trajectory, trajectory.id in doubted)
        if not why:
            eligible += 1
            beyond = f"number {eligible} of those allowed; {pool} were asked for"
            why = f"near enough, but not kept by {retriever.selector_name}" if eligible <= pool else beyond
        if trajectory.id not in recalled:
            others.append(LeftOut(trajectory, hit.score, why))
    return others[:n]


def _excluded(retriever: Retriever, trajectory: Trajectory, task: Task | None) -> str:
    if task is None:
        return ""
    other = trajectory.task
    types = retriever.index_types or {task.type}
    barred = {"empty": True, "matched": other.type not in types, "mismatched": other.type in types}
    if barred.get(retriever.index_state):
        return f"index state {retriever.index_state}: its type is {other.type or '(none)'}"
    if not retriever.exclude:
        return ""
    why = Exclusion.of(task, exclude_by=retriever.exclude_by).why(trajectory)
    return f"excluded: {why}" if why else ""


def _filtered(where: Filter, trajectory: Trajectory, doubted: bool) -> str:
    if (QUARANTINED if doubted else TRUSTED) not in (where.trust or (TRUSTED,)):
        return "quarantined: nobody has vouched for it" if doubted else "filter: trust"
    for field in fields(where):
        value = getattr(where, field.name)
        if value is not None and field.name != "trust" and not Filter(**{field.name: value}).allows(trajectory):
            return f"filter: {field.name}"
    return ""
