"""Rollouts of Prime Intellect's verifiers: `traces.jsonl`, an episode with its traces a line, and the older `results.jsonl`.

A trace is a graph of messages, of which the path to the last one is the episode; its other branches are named as left out. The
score is the sum of its weighted rewards. An older row has `prompt`, `completion` and `reward`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from exprag.contracts.trace_format import Place, TraceFormat
from exprag.errors import RecordError
from exprag.traces.chat import is_chat, read_chat
from exprag.trajectory import Trajectory

_OLD = ("prompt", "completion")


class Verifiers(TraceFormat):
    """Episodes with `traces`, single traces with `nodes`, and rows with `prompt` and `completion`."""

    def recognise(self, row: Any) -> bool:
        if not isinstance(row, dict):
            return False
        if isinstance(row.get("traces"), list) and row["traces"]:
            return all(_is_trace(trace) for trace in row["traces"])
        return _is_trace(row) or (is_chat(row.get("completion"), "role") and "prompt" in row)

    def parts(self, row: Any) -> Iterator[tuple[str, Any]]:
        traces = row.get("traces") if isinstance(row, dict) else None
        if not isinstance(traces, list) or not traces:
            yield "", row
            return
        for number, trace in enumerate(traces, 1):
            yield (f"trace {number}" if len(traces) > 1 else ""), trace

    def read(self, row: Any, place: Place) -> Trajectory:
        if _is_trace(row):
            return _read_trace(row, place)
        if not isinstance(row, dict) or not all(name in row for name in _OLD):
            raise RecordError("It has neither 'nodes' nor 'prompt' and 'completion'.")
        prompt = row["prompt"]
        opening = [{"role": "user", "content": prompt}] if isinstance(prompt, str) else prompt
        if not isinstance(opening, list) or not isinstance(row["completion"], list):
            raise RecordError("Its prompt and completion are not messages.")
        fields = {name: value for name, value in row.items() if name not in _OLD}
        return read_chat("verifiers", fields, [*opening, *row["completion"]], place)


def _is_trace(row: Any) -> bool:
    return isinstance(row, dict) and isinstance(row.get("nodes"), list) and isinstance(row.get("task"), dict)


def _read_trace(row: Mapping[str, Any], place: Place) -> Trajectory:
    path, branches = _path(row["nodes"])
    task, agent, info = row["task"], row.get("agent"), row.get("info")
    data = task.get("data") if isinstance(task.get("data"), dict) else {}
    fields: dict[str, Any] = dict(info) if isinstance(info, dict) else {}
    fields |= {name: value for name, value in _metrics(row.get("metrics")).items() if name not in fields}
    names = (task.get("key"), task.get("hash"), data.get("name"), data.get("idx"), row.get("id"))
    fields["id"] = next((str(name) for name in names if isinstance(name, str | int) and name != ""), "")
    fields["type"] = task.get("type") if isinstance(task.get("type"), str) else ""
    if (reward := _reward(row.get("rewards"))) is not None:
        fields["reward"] = reward
    config = agent.get("config") if isinstance(agent, dict) else None
    calls = row.get("calls")
    models = [call.get("model") for call in (calls if isinstance(calls, list) else ()) if isinstance(call, dict)]
    models += [config.get("model")] if isinstance(config, dict) else []
    fields["model"] = next((model for model in models if isinstance(model, str)), "")
    tools = row.get("tools")
    more: dict[str, Any] = {"tools": tools} if isinstance(tools, list) and tools else {}
    trajectory = read_chat("verifiers", fields, path, place, used=tuple(fields), more=more)
    if branches:
        origin = trajectory.provenance
        lost = [*_texts(origin.extra.get("left_out")), f"{branches} other branches of the conversation"]
        trajectory = trajectory.model_copy(
            update={"provenance": origin.model_copy(update={"extra": {**origin.extra, "left_out": lost}})}
        )
    return trajectory


def _path(nodes: list[Any]) -> tuple[list[Any], int]:
    """The messages from the root to the last leaf, and how many other leaves there are."""
    parents = [node.get("parent") if isinstance(node, dict) else None for node in nodes]
    leaves = set(range(len(nodes))) - {parent for parent in parents if isinstance(parent, int)}
    path: list[Any] = []
    place: Any = len(nodes) - 1
    while isinstance(place, int) and 0 <= place < len(nodes) and len(path) <= len(nodes):
        node = nodes[place]
        path.append(node.get("message") if isinstance(node, dict) else None)
        parent = parents[place]
        if isinstance(parent, int) and parent >= place:
            raise RecordError(f"node {place}: its parent comes after it.")
        place = parent
    return path[::-1], max(0, len(leaves) - 1)


def _reward(rewards: Any) -> float | None:
    """The sum of the weighted rewards; None where there is none, or one was never computed."""
    if not isinstance(rewards, dict) or not rewards:
        return None
    total = 0.0
    for name, reward in rewards.items():
        score = reward.get("score") if isinstance(reward, dict) else reward
        weight = reward.get("weight", 1.0) if isinstance(reward, dict) else 1.0
        if score is None:
            return None
        if not isinstance(score, int | float) or not isinstance(weight, int | float):
            raise RecordError(f"The reward {name[:60]!r} is not a number.")
        total += float(score) * float(weight)
    return total


def _metrics(metrics: Any) -> dict[str, Any]:
    items = metrics.items() if isinstance(metrics, dict) else ()
    return {name: value for name, value in items if isinstance(value, int | float) and name not in ("reward", "score", "success")}


def _texts(value: Any) -> list[str]:
    return [text for text in value if isinstance(text, str)] if isinstance(value, list) else []
