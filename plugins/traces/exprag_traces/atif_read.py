"""An ATIF document as a trajectory; what is in it beside is left to `exprag_traces.atif`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from exprag.contracts.trace_format import Place
from exprag.errors import RecordError
from exprag.traces.calls import action_of, arguments_of
from exprag.traces.record import content_text, goal, make
from exprag.trajectory import Recalled, ToolCall, Trajectory

SCORE, SOURCE = "retrieval_score", "source_doc_id"
JsonData = dict[str, Any]
Result = tuple[str | None, str, Mapping[str, Any]]


def read_document(row: Any, place: Place, left_out: Sequence[str] = ()) -> Trajectory:
    """The trajectory of a document. Raises RecordError naming the step that does not fit."""
    reader = _Reader(list(left_out))
    for number, step in enumerate(row["steps"], 1):
        reader.take(step, f"step {number}")
    agent, extra = row.get("agent"), row.get("extra")
    fields = dict(extra) if isinstance(extra, Mapping) else {}
    id = next((row[name] for name in ("trajectory_id", "session_id") if isinstance(row.get(name), str) and row[name]), None)
    if id is not None:
        fields["id"] = id
    if isinstance(agent, Mapping) and isinstance(agent.get("model_name"), str):
        fields.setdefault("model", agent["model_name"])
    tools = agent.get("tool_definitions") if isinstance(agent, Mapping) else None
    if reader.copied:
        reader.left_out.append(f"{reader.copied} steps of copied context")
    answers = [call.get("result") for step in reader.steps[-1:] for call in step["calls"]]
    return make(
        "atif",
        place,
        fields,
        reader.steps,
        instruction=goal(reader.first) or reader.first.strip(),
        final_observation="\n".join(reader.inputs),
        preamble="\n\n".join(reader.preamble),
        ended="truncated" if None in answers else "terminated",
        left_out=reader.left_out,
        used=tuple(fields),
        more={"tools": tools} if isinstance(tools, list) and tools else None,
    )


class _Reader:
    """What the steps of a document have given so far."""

    def __init__(self, left_out: list[str]) -> None:
        self.steps: list[JsonData] = []
        self.inputs: list[str] = []
        self.preamble: list[str] = []
        self.recalled: tuple[Recalled, ...] = ()
        self.first = ""
        self.copied = 0
        self.left_out = left_out

    def take(self, step: Any, where: str) -> None:
        source = step.get("source") if isinstance(step, dict) else None
        if source not in ("system", "user", "agent"):
            raise RecordError(f"{where}: its source is not system, user or agent.")
        if step.get("is_copied_context"):
            self.copied += 1
            return
        text = content_text(step.get("message"), where, self.left_out)
        results = self._results(step, where)
        if source == "agent":
            self._turn(step, text, results, where)
        elif source == "system":
            self._system(text, results)
        else:
            self.first = self.first or text
            self.inputs += [text, *(result for _, result, _ in results)]

    def _results(self, step: JsonData, where: str) -> list[Result]:
        """(id of the call, text, extra) of each observation result."""
        observation = step.get("observation")
        items = observation.get("results") if isinstance(observation, dict) else []
        if not isinstance(items, list) or not (observation is None or isinstance(observation, dict)):
            raise RecordError(f"{where}: its observation has no list of results.")
        results: list[Result] = []
        for item in items:
            if not isinstance(item, dict):
                raise RecordError(f"{where}: an observation result is not an object.")
            text = content_text(item.get("content"), where, self.left_out)
            references = item.get("subagent_trajectory_ref") or []
            for reference in references if isinstance(references, list) else [references]:
                about = reference if isinstance(reference, dict) else {}
                name = about.get("trajectory_id") or about.get("trajectory_path") or ""
                text = "\n".join(filter(None, [text, f"[subagent: {name}]"]))
            extra = item.get("extra")
            id = item.get("source_call_id")
            results.append((id if isinstance(id, str) else None, text, extra if isinstance(extra, dict) else {}))
        return results

    def _system(self, text: str, results: list[Result]) -> None:
        recalled = [_recalled(result, extra) for _, result, extra in results]
        if results and all(recalled):
            self.recalled = tuple(item for item in recalled if item)
            return
        texts = [text, *(result for _, result, _ in results)]
        if not self.steps and not self.inputs:
            self.preamble += filter(None, texts)
        else:
            self.inputs += filter(None, texts)

    def _turn(self, step: JsonData, text: str, results: list[Result], where: str) -> None:
        items = step.get("tool_calls") or []
        if not isinstance(items, list):
            raise RecordError(f"{where}: tool_calls is not a list.")
        calls = [_call(item, where) for item in items]
        answers: list[str] = []
        for id, result, _ in results:
            index = next((i for i, call in enumerate(calls) if id is not None and call.id == id and call.result is None), None)
            if id is not None and index is None:
                raise RecordError(f"{where}: a tool's result without a call ({id[:60]}).")
            if id is None and len(calls) == 1 and calls[0].result is None:
                index = 0
            if index is not None:
                calls[index] = calls[index].model_copy(update={"result": result})
            else:
                answers.append(result)
        thought = step.get("reasoning_content")
        self.steps.append(
            {
                "observation": "\n".join(self.inputs),
                "action": action_of(calls) if calls else text,
                "thought": thought if isinstance(thought, str) else None,
                "message": (text or None) if calls else None,
                "calls": [call.to_dict() for call in calls],
                "recalled": [item.to_dict() for item in self.recalled],
                "usage": _usage(step.get("metrics")),
            }
        )
        self.inputs = [*(call.result for call in calls if call.result is not None), *answers]


def _call(item: Any, where: str) -> ToolCall:
    name = item.get("function_name") if isinstance(item, dict) else None
    if not isinstance(name, str) or not name:
        raise RecordError(f"{where}: a tool call without the name of its function.")
    id = item.get("tool_call_id")
    arguments = arguments_of(item.get("arguments"))
    return ToolCall.from_dict({"id": id if isinstance(id, str) else "", "name": name, "arguments": arguments})


def _recalled(text: str, extra: Mapping[str, Any]) -> Recalled | None:
    id, score = extra.get(SOURCE), extra.get(SCORE)
    if not isinstance(id, str) or not id or isinstance(score, bool) or not isinstance(score, int | float):
        return None
    step = extra.get("step")
    return Recalled.from_dict({"id": id, "score": score, "reason": text, "step": step if isinstance(step, int) else None})


def _usage(metrics: Any) -> JsonData | None:
    if not isinstance(metrics, dict):
        return None
    names = {"prompt": "prompt_tokens", "completion": "completion_tokens", "cached": "cached_tokens"}
    counts = {ours: metrics[name] for ours, name in names.items() if isinstance(metrics.get(name), int) and metrics[name] >= 0}
    cost = metrics.get("cost_usd")
    if isinstance(cost, int | float) and not isinstance(cost, bool):
        counts["cost"] = cost
    return counts or None
