"""A trajectory as an ATIF document, as far as ATIF has a place for it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from exprag import __version__
from exprag.traces.calls import beyond_results
from exprag.trajectory import Recalled, Step, Trajectory, Usage
from exprag_traces.atif_read import SCORE, SOURCE

VERSION = "ATIF-v1.8"
MEMORY = "Experience that was recalled into the prompt."
JsonData = dict[str, Any]


def document(trajectory: Trajectory) -> JsonData:
    """The document, without what ATIF has no place for. Its `trajectory_id` is the id of the trajectory."""
    origin = trajectory.provenance
    agent = {"name": "exprag", "version": __version__, "model_name": origin.model, "tool_definitions": origin.extra.get("tools")}
    head = {"schema_version": VERSION, "session_id": origin.run or None, "trajectory_id": trajectory.id}
    return {**_present(head), "agent": _present(agent), "steps": _steps(trajectory)}


def _steps(trajectory: Trajectory) -> list[JsonData]:
    steps: list[JsonData] = []

    def add(source: str, message: str, **more: Any) -> None:
        steps.append({"step_id": len(steps) + 1, "source": source, "message": message, **_present(more)})

    preamble = trajectory.provenance.extra.get("preamble")
    if isinstance(preamble, str) and preamble:
        add("system", preamble)
    following = [*(step.observation for step in trajectory.steps), trajectory.final_observation]
    talking = trajectory.provenance.extra.get("format") is not None or any(step.calls for step in trajectory.steps)
    recalled: Sequence[Recalled] = ()
    if following[0] and trajectory.steps:
        add("user", following[0])
    for number, (step, answer) in enumerate(zip(trajectory.steps, following[1:], strict=True), 1):
        if step.recalled and step.recalled != recalled:
            add("system", MEMORY, observation={"results": [_memory(item) for item in step.recalled]})
            recalled = step.recalled
        results, rest = _answers(step, answer, number, talking)
        add(
            "agent",
            (step.message or "") if step.calls else step.action,
            reasoning_content=step.thought,
            tool_calls=_calls(step, number) or None,
            observation={"results": results} if results else None,
            metrics=_metrics(step.usage) if step.usage else None,
        )
        if rest:
            add("user", rest)
    return steps


def _calls(step: Step, number: int) -> list[JsonData]:
    calls = []
    for index, call in enumerate(step.calls, 1):
        arguments = call.arguments if isinstance(call.arguments, dict) else {"arguments": call.arguments}
        calls.append({"tool_call_id": _id(call.id, number, index), "function_name": call.name, "arguments": arguments})
    return calls


def _id(id: str, number: int, index: int) -> str:
    return id or f"call_{number}_{index}"


def _answers(step: Step, answer: str, number: int, talking: bool) -> tuple[list[JsonData], str]:
    """The observation results of a step, and what a person said after it."""
    results = [
        {"source_call_id": _id(call.id, number, index), "content": call.result}
        for index, call in enumerate(step.calls, 1)
        if call.result is not None
    ]
    rest = beyond_results(step.calls, answer)
    rest = answer if rest is None else rest
    if rest and not talking:  # an environment answers
        return [*results, {"content": rest}], ""
    return results, rest


def _memory(item: Recalled) -> JsonData:
    return {"content": item.reason, "extra": _present({SCORE: item.score, SOURCE: item.id, "step": item.step})}


def _metrics(usage: Usage) -> JsonData:
    counts = {"prompt_tokens": usage.prompt, "completion_tokens": usage.completion, "cached_tokens": usage.cached}
    return _present({**counts, "cost_usd": usage.cost})


def _present(fields: JsonData) -> JsonData:
    return {name: value for name, value in fields.items() if value not in (None, "", [])}
