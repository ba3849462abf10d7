"""Why two runs must not be paired: their tasks, the version of their environment, or their step limits differ."""

from __future__ import annotations

from typing import Any

from exprag.evaluation.results import RunResult

_SELECTION = ("split", "types", "task_ids", "per_type", "limit", "shuffle", "seed")
"""The fields of a run that choose its tasks; the seed where they are drawn with it."""


def why_not_paired(arm: RunResult, baseline: RunResult, *, common_tasks: bool = False) -> str:
    """The reason for which differences between these runs would say nothing; "" where there is none.

    A run that is not finished is no reason: what both have played is compared. `common_tasks`: nor are different tasks.
    """
    mine, others = _environment(arm), _environment(baseline)
    if mine and others and mine != others:
        return f"they were played in different environments: {mine} and {others}."
    ours, theirs = _fingerprints(arm), _fingerprints(baseline)
    if ours and theirs and ours != theirs:
        names = f"{', '.join(sorted(ours))} and {', '.join(sorted(theirs))}"
        return f"they were played on different versions of the environment: their fingerprints differ ({names})."
    limits = [run.config.get("max_steps") for run in (arm, baseline)]
    if limits[0] != limits[1]:
        return f"their step limits differ: {_limit(limits[0])} and {_limit(limits[1])}."
    if common_tasks or _tasks(arm) == _tasks(baseline):
        return ""
    different = [name for name in _SELECTION if _chosen(arm, name) != _chosen(baseline, name)]
    if not different:
        return ""
    fields = "; ".join(f"{name} {_chosen(arm, name)!r} and {_chosen(baseline, name)!r}" for name in different)
    return f"their tasks differ: {fields}. To compare the tasks that both played all the same: --common-tasks."


def _environment(run: RunResult) -> str:
    return str(run.config.get("environment") or "")


def _fingerprints(run: RunResult) -> set[str]:
    """What the run's episodes were played on; of a run without any what its folder says."""
    of_episodes = {episode.fingerprint for episode in run.episodes if episode.fingerprint}
    return of_episodes or {str(name) for name in (run.versions.get("fingerprint"),) if name}


def _tasks(run: RunResult) -> set[str]:
    return {episode.task.key for episode in run.episodes}


def _chosen(run: RunResult, name: str) -> Any:
    """A field that chooses tasks, as plain data; the seed only where the tasks are drawn with it."""
    if name == "seed" and not run.config.get("shuffle"):
        return None
    value = run.config.get(name)
    return list(value) if isinstance(value, list | tuple) else value


def _limit(steps: Any) -> str:
    return "the environment's own" if steps is None else f"{steps} steps"
