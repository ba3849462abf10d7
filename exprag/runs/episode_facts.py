"""The few facts of an episode's record that runs are continued, counted and watched by."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from exprag.metering import AGENT


def facts_of(data: Mapping[str, Any]) -> tuple[Any, ...]:
    """Key, id, ending, success, boundary of the error, time of the end, steps, usage, seconds and cost, in the order of
    `exprag.runs.episode_index.Entry`. `data` is a trajectory as JSON; raises KeyError or TypeError where it is not one."""
    task, error, provenance, steps = data["task"], data["error"], data["provenance"], data["steps"]
    extra = provenance["extra"]
    seconds = {name: float(value) for name, value in _table(extra.get("seconds")).items() if isinstance(value, int | float)}
    if provenance["seconds"] is not None:
        seconds["episode"] = float(provenance["seconds"])
    return (
        f"{task['environment']}:{task['id']}",
        str(data["id"]),
        str(data["ended"]),
        data["success"],
        str(error["boundary"]) if error else "",
        str(provenance["created"]),
        len(steps),
        _usage(extra, steps),
        seconds,
        _cost(steps),
    )


def _usage(extra: Mapping[str, Any], steps: Any) -> dict[str, list[int]]:
    """Calls, prompt, completion and cached tokens by boundary: as they were metered, else as the steps say."""
    usage = {
        name: [_count(counts.get(each)) for each in ("calls", "prompt", "completion", "cached")]
        for name, counts in _table(extra.get("usage")).items()
        if isinstance(counts, Mapping)
    }
    if AGENT not in usage and (calls := [step["usage"] for step in steps if step["usage"]]):
        sums = [sum(_count(call.get(name)) for call in calls) for name in ("prompt", "completion", "cached")]
        usage[AGENT] = [len(calls), *sums]
    return usage


def _cost(steps: Any) -> float | None:
    costs = [step["usage"]["cost"] for step in steps if step["usage"] and step["usage"].get("cost") is not None]
    return float(sum(costs)) if costs else None


def _table(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _count(value: Any) -> int:
    return value if isinstance(value, int) else 0
