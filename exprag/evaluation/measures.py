"""What is measured of each episode, and the mean of each measure over episodes, or of its paired differences, with an interval.

`exprag.evaluation.metrics` counts beside them what is not a number of each episode.

A measure that an episode does not carry (no score, a model that reports no tokens, an environment that does not say what it
understood) is left out of the mean: `n` says how many carry it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from exprag.evaluation.clusters import limits_of_means
from exprag.evaluation.statistics import Difference, Interval, wilson
from exprag.trajectory import Trajectory

UNITS = {
    "success": "share of episodes that reached the goal",
    "score": "the environment's own, in [-1, 1]",
    "steps": "actions of an episode",
    "invalid_actions": "actions of an episode that the environment did not understand",
    "repeated_actions": "actions of an episode that it had taken before at the same observation",
    "prompt_tokens": "tokens of an episode that the model read",
    "completion_tokens": "tokens of an episode that the model wrote",
    "cached_tokens": "tokens of an episode that the model read from its cache",
    "retrieval_tokens": "tokens that models took while the bank was asked",
    "tokens": "prompt and completion together",
    "seconds": "wall time of an episode",
    "cost": "money of an episode, in the currency of the prices given",
}
"""The measures and what each means. Seconds by boundary ("seconds_model" …) follow where they are recorded."""
RATES = ("success",)


@dataclass(frozen=True)
class Measure:
    """A mean over the `n` episodes that carry the measure, with its 95 % interval; None where there is none."""

    n: int = 0
    mean: float | None = None
    interval: Interval | None = None


def values_of(episode: Trajectory) -> dict[str, float]:
    """What one episode measures, by name; only what it carries. An outcome that is unknown counts as not solved."""
    steps = episode.steps
    values = {"success": float(episode.success is True), "steps": float(len(steps))}
    if episode.score is not None:
        values["score"] = episode.score
    if any(step.valid is not None for step in steps):
        values["invalid_actions"] = float(sum(step.valid is False for step in steps))
    values["repeated_actions"] = float(len(steps) - len({(step.observation, step.action) for step in steps}))
    if usage := [step.usage for step in steps if step.usage is not None]:
        values["prompt_tokens"] = float(sum(call.prompt for call in usage))
        values["completion_tokens"] = float(sum(call.completion for call in usage))
        values["tokens"] = values["prompt_tokens"] + values["completion_tokens"]
        if cached := [call.cached for call in usage if call.cached is not None]:
            values["cached_tokens"] = float(sum(cached))
        if costs := [call.cost for call in usage if call.cost is not None]:
            values["cost"] = float(sum(costs))
    if episode.provenance.seconds is not None:
        values["seconds"] = episode.provenance.seconds
    return values | dict(_recorded(episode))


def _recorded(episode: Trajectory) -> Iterator[tuple[str, float]]:
    """What a run may record beside the episode: seconds by boundary, other tokens, cost."""
    extra = episode.provenance.extra
    for kind, form in (("seconds", "seconds_{}"), ("tokens", "{}_tokens")):
        table = extra.get(kind)
        for name, value in table.items() if isinstance(table, dict) else ():
            if isinstance(value, int | float):
                yield form.format(name), float(value)
    cost = extra.get("cost")
    if isinstance(cost, int | float):
        yield "cost", float(cost)


def measures_of(episodes: Sequence[Trajectory]) -> dict[str, Measure]:
    """Each measure over these episodes, those of `UNITS` first and in its order; a measure that no episode carries is left out.

    Intervals are Wilson's for rates and a bootstrap's for means. Where tasks were played several times whole tasks are drawn, for
    rates too: Wilson's would take repetitions for tasks. Where then all were solved, or none, it is Wilson's over the tasks.
    """
    import numpy as np

    rows = [values_of(episode) for episode in episodes]
    names = _names(rows)
    if not rows:
        return {}
    tasks = [episode.task.key for episode in episodes]
    table = np.array([[row.get(name, np.nan) for name in names] for row in rows], dtype=float)
    limits = limits_of_means(table, tasks)
    size = len(set(tasks))
    measures = {}
    for index, name in enumerate(names):
        column = table[:, index]
        column = column[~np.isnan(column)]
        interval = Interval(*pair) if (pair := limits[index]) else None
        if name in RATES and (size == len(column) or column.mean() in (0, 1)):
            interval = wilson(round(column.mean() * size), size)
        measures[name] = Measure(len(column), float(column.mean()), interval)
    return measures


def differences_of(pairs: Sequence[tuple[Trajectory, Trajectory]]) -> dict[str, Difference]:
    """The mean paired difference of each measure that both episodes of a pair carry, with a bootstrap interval over tasks."""
    import numpy as np

    gaps = []
    for ours, theirs in pairs:
        mine, others = values_of(ours), values_of(theirs)
        gaps.append({name: mine[name] - others[name] for name in mine if name in others})
    names = _names(gaps)
    if not gaps:
        return {}
    table = np.array([[row.get(name, np.nan) for name in names] for row in gaps], dtype=float)
    limits = limits_of_means(table, [ours.task.key for ours, _ in pairs])
    differences = {}
    for index, name in enumerate(names):
        column = table[:, index]
        column = column[~np.isnan(column)]
        interval = Interval(*pair) if (pair := limits[index]) else None
        differences[name] = Difference(len(column), float(column.mean()), interval)
    return differences


def _names(rows: Sequence[dict[str, float]]) -> list[str]:
    """The measures that some row has: those of `UNITS` first, the others by name."""
    there = {name for row in rows for name in row}
    return [name for name in UNITS if name in there] + sorted(there - UNITS.keys())
