"""Lists of messages as OpenAI's chat interface has them: `{"messages": [{"role", "content", "tool_calls", "tool_call_id"}]}`.

The bare list is read as well, as are tool calls of LangChain's form (`name`, `args`) and the older `function_call`. Written rows
carry the definitions of tools under `tools`, where they are on record, and what messages have no place for under `exprag`.
"""

from __future__ import annotations

import json
from typing import Any

from exprag.contracts.trace_format import Place, TraceFormat
from exprag.errors import RecordError
from exprag.traces import exact
from exprag.traces.calls import beyond_results
from exprag.traces.chat import is_chat, read_chat
from exprag.trajectory import Step, Trajectory


class OpenAiMessages(TraceFormat):
    """Rows with `messages`, and bare lists of them."""

    def recognise(self, row: Any) -> bool:
        return is_chat(row, "role") or (isinstance(row, dict) and "messages" in row)

    def read(self, row: Any, place: Place) -> Trajectory:
        if isinstance(row, list):
            return read_chat("openai", {}, row, place)
        if not isinstance(row, dict) or "messages" not in row:
            raise RecordError("There is no field 'messages'.")
        fields = {name: value for name, value in row.items() if name != exact.FIELD}
        if exact.FIELD in row:
            return exact.restore(row[exact.FIELD], lambda: _read(fields, Place()))
        return _read(fields, place)

    def write(self, trajectory: Trajectory) -> Any:
        tools = trajectory.provenance.extra.get("tools")
        fields = {"id": trajectory.task.id, "type": trajectory.task.type, "split": trajectory.task.split}
        outcome = {"success": trajectory.success, "score": trajectory.score, "model": trajectory.provenance.model}
        row = {"messages": messages_of(trajectory), "tools": tools, **fields, **outcome}
        row = {name: value for name, value in row.items() if value not in (None, "")}
        change = exact.addition(trajectory, row, _read)
        return row if change is None else {**row, exact.FIELD: change}


def _read(row: Any, place: Place) -> Trajectory:
    tools = row.get("tools")
    more = {"tools": tools} if isinstance(tools, list) and tools else None
    return read_chat("openai", row, row["messages"], place, used=("messages", "tools"), more=more)


def messages_of(trajectory: Trajectory) -> list[dict[str, Any]]:
    """The episode as messages: what the model was told before, what it met, and its turns with their tool calls."""
    preamble = trajectory.provenance.extra.get("preamble")
    messages: list[dict[str, Any]] = [{"role": "system", "content": preamble}] if isinstance(preamble, str) and preamble else []
    previous: Step | None = None
    for number, step in enumerate(trajectory.steps, 1):
        messages += _inputs(previous, step.observation, number - 1)
        turn: dict[str, Any] = {"role": "assistant", "content": (step.message or "") if step.calls else step.action}
        if step.thought is not None:
            turn["reasoning_content"] = step.thought
        if step.calls:
            turn["tool_calls"] = [
                {
                    "id": call.id or f"call_{number}_{index}",
                    "type": "function",
                    "function": {
                        "name": call.name,
                        "arguments": call.arguments if isinstance(call.arguments, str) else json.dumps(call.arguments),
                    },
                }
                for index, call in enumerate(step.calls, 1)
            ]
        messages.append(turn)
        previous = step
    return messages + _inputs(previous, trajectory.final_observation, len(trajectory.steps))


def _inputs(previous: Step | None, observation: str, number: int) -> list[dict[str, Any]]:
    """The results of the calls before an observation, and what it says beside them."""
    calls = previous.calls if previous is not None else ()
    messages: list[dict[str, Any]] = [
        {"role": "tool", "tool_call_id": call.id or f"call_{number}_{index}", "content": call.result}
        for index, call in enumerate(calls, 1)
        if call.result is not None
    ]
    rest = beyond_results(calls, observation)
    rest = observation if rest is None else rest
    return [*messages, {"role": "user", "content": rest}] if rest else messages
