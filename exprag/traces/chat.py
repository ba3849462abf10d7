"""Lists of messages as episodes, whatever their fields are called: what the two formats of conversations share.

A step is one turn of the model; what came before it, from a person or from tools, is its observation. Tool calls are kept as
such, with their results, and written as the action by `exprag.traces.calls`; text beside them is the step's message, and the
reasoning is its thought.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

from exprag.errors import RecordError
from exprag.traces.calls import action_of, arguments_of
from exprag.traces.record import Place, content_text, goal, make, text_or_none
from exprag.traces.turns import split_turn
from exprag.trajectory import ToolCall, Trajectory

_ROLES = {
    **dict.fromkeys(("human", "user"), "user"),
    **dict.fromkeys(("gpt", "assistant", "ai", "model", "chatgpt", "bot"), "assistant"),
    "function_call": "call",
    **dict.fromkeys(("tool", "function", "observation", "ipython", "tool_response"), "tool"),
    **dict.fromkeys(("system", "developer"), "system"),
}
_REASONING = ("reasoning_content", "reasoning", "thinking", "thought")
_ACKNOWLEDGED = re.compile(
    r"\s*(?:ok(?:ay)?|sure|understood|got it|alright|i understand)\b[\s.,!]*"
    r"(?:i(?:'|’| wi)ll (?:follow your instructions|(?:try|do) my best)[^\n]*|i understand[^\n]*)?\s*",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Message:
    """One message in our own words. `raw_call` is an action where a call could not be read; `trained` is the field `loss`, None
    where there is none; `call_id` is what a tool's result answers."""

    role: str
    text: str
    thought: str = ""
    calls: tuple[ToolCall, ...] = ()
    raw_call: str = ""
    call_id: str = ""
    trained: bool | None = None


def is_chat(data: Any, *roles: str) -> bool:
    """Whether this is a list of messages, by its first element: an object with one of these fields."""
    return isinstance(data, list) and bool(data) and isinstance(data[0], dict) and any(role in data[0] for role in roles)


def read_chat(
    format: str, row: Mapping[str, Any], items: Any, place: Place, used: Sequence[str] = (), more: Mapping[str, Any] | None = None
) -> Trajectory:
    """The episode of a list of messages. `used` and `more` are those of `make`. Raises RecordError naming the message that does
    not fit."""
    if not isinstance(items, list):
        raise RecordError("Expected a list of messages.")
    left_out: list[str] = []
    messages = [_message(item, f"message {number}", left_out) for number, item in enumerate(items, 1)]
    messages = _with_results(messages)
    system = [message.text for message in messages if message.role == "system"]
    messages = [message for message in messages if message.role != "system"]
    start = _start(messages)
    lead, messages = [message.text for message in messages[:start]], messages[start:]
    steps: list[dict[str, Any]] = []
    inputs: list[str] = []
    for message in messages:
        if message.role == "assistant":
            steps.append({"observation": "\n".join(inputs), **_turn(message)})
            inputs = []
        else:
            inputs.append(message.text)
    first = next((message.text for message in messages if message.role == "user"), "")
    rest = "\n".join(inputs)
    return make(
        format,
        place,
        row,
        steps,
        instruction=text_or_none(row, "instruction") or goal(first) or goal("\n".join(lead)) or first.strip(),
        final_observation=rest,
        preamble="\n\n".join([*system, *lead]),
        ended="terminated" if rest or not messages or not (messages[-1].calls or messages[-1].raw_call) else "truncated",
        used=("instruction", *used),
        left_out=left_out,
        more=more,
    )


def _message(item: Any, where: str, left_out: list[str]) -> Message:
    if not isinstance(item, dict):
        raise RecordError(f"{where}: expected an object with a role and content.")
    if "from" in item and "role" in item:
        raise RecordError(f"{where}: it says both 'from' and 'role'.")
    speaker = item.get("from", item.get("role"))
    role = _ROLES.get(speaker.lower(), "") if isinstance(speaker, str) else ""
    if not role:
        raise RecordError(f"{where}: no known role: {str(speaker)[:60]!r}.")
    names = [name for name in ("value", "content", "text") if name in item]
    if not names and not item.get("tool_calls") and not item.get("function_call"):
        raise RecordError(f"{where}: it has no content.")
    text = content_text(item[names[0]], where, left_out) if names else ""
    loss = item.get("loss")
    trained = bool(loss) if isinstance(loss, bool | int | float) else None
    if role == "call":
        call = _json_call(text)
        return Message("assistant", "", calls=(call,) if call else (), raw_call="" if call else text.strip(), trained=trained)
    if role == "tool":
        id = item.get("tool_call_id")
        return Message(role, text, call_id=id if isinstance(id, str) else "")
    if role != "assistant":
        return Message(role, text)
    thought = next((item[name] for name in _REASONING if isinstance(item.get(name), str)), "")
    calls = item.get("tool_calls") or ([item["function_call"]] if item.get("function_call") else [])
    if not isinstance(calls, list):
        raise RecordError(f"{where}: tool_calls is not a list.")
    return Message(role, text, thought, tuple(_call(call, where) for call in calls), trained=trained)


def _call(call: Any, where: str) -> ToolCall:
    """A tool call; arguments that are not a JSON object stay as they are written."""
    function = call.get("function", call) if isinstance(call, dict) else None
    name = function.get("name") if isinstance(function, dict) else None
    if not isinstance(function, dict) or not isinstance(name, str) or not name:
        raise RecordError(f"{where}: a tool call without the name of its function.")
    id = call.get("id") if isinstance(call.get("id"), str) else ""
    arguments = arguments_of(function.get("arguments", function.get("args")))
    return ToolCall.from_dict({"id": id, "name": name, "arguments": arguments})


def _json_call(text: str) -> ToolCall | None:
    try:
        return _call(json.loads(text), "function_call")
    except (ValueError, RecursionError, RecordError):
        return None


def _with_results(messages: list[Message]) -> list[Message]:
    """The messages, each call with its result: the one of its id, else the next that says no id.

    Raises RecordError for a result that answers no call."""
    answered = list(messages)
    for number, message in enumerate(messages, 1):
        if message.role != "tool":
            continue
        turns = [place for place in range(number - 1) if messages[place].role == "assistant"]
        open_calls = [
            (place, index)
            for place in reversed(turns)
            for index, call in enumerate(answered[place].calls)
            if (call.id == message.call_id if message.call_id else place == turns[-1] and call.result is None)
        ]
        if not turns or (message.call_id and not open_calls):
            raise RecordError(
                f"message {number}: a tool's result without a call{f' ({message.call_id[:60]})' if message.call_id else ''}."
            )
        if not open_calls:
            continue  # a result that names no call, as the older form has it: an observation, and no more
        place, index = next(((p, i) for p, i in open_calls if answered[p].calls[i].result is None), open_calls[0])
        calls, result = list(answered[place].calls), answered[place].calls[index].result
        text = message.text if result is None else f"{result}\n{message.text}"
        calls[index] = calls[index].model_copy(update={"result": text})
        answered[place] = replace(answered[place], calls=tuple(calls))
    return answered


def _start(messages: list[Message]) -> int:
    """Where the episode begins: behind leading turns that only acknowledge the instructions, or that the file itself keeps out of
    training (`loss: false` before turns that are trained): the examples of a prompt."""
    turns = [index for index, message in enumerate(messages) if message.role == "assistant"]
    start = 0
    for turn, following in pairwise(turns):
        message = messages[turn]
        untrained = message.trained is False and any(messages[later].trained for later in turns)
        if message.calls or message.raw_call or not (untrained or _ACKNOWLEDGED.fullmatch(message.text)):
            break
        if not any(other.role == "user" for other in messages[turn + 1 : following]):
            break
        start = turn + 1
    return start


def _turn(message: Message) -> dict[str, Any]:
    """Action, thought, message, calls and note of a Step."""
    thought, action, note = split_turn(message.text)
    if message.calls:
        words = "\n".join(filter(None, [message.thought, thought])) or None
        calls = [call.to_dict() for call in message.calls]
        return {"action": action_of(message.calls), "thought": words, "message": action or None, "calls": calls}
    if message.raw_call:
        return {"action": message.raw_call, "thought": message.thought or None}
    return {"action": action, "thought": "\n".join(filter(None, [message.thought, thought])) or None, "note": note}
