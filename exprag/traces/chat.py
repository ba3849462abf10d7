"""Lists of messages as episodes, whatever their fields are called: what the two formats of conversations share.

A step is one turn of the model; what came before it, from a person or from tools, is its observation. Tool calls are written as
`exprag.integrations.conversation` writes them: `name({"argument": "value"})`, each on a line.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from exprag.errors import RecordError
from exprag.traces.record import Place, content_text, goal, make
from exprag.traces.turns import split_turn
from exprag.trajectory import Trajectory

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
    """One message in our own words. `calls` are written as actions; `trained` is the field `loss`, None where there is none."""

    role: str
    text: str
    thought: str = ""
    calls: tuple[str, ...] = ()
    call_ids: tuple[str, ...] = ()
    trained: bool | None = None


def is_chat(data: Any, *roles: str) -> bool:
    """Whether this is a list of messages, by its first element: an object with one of these fields."""
    return isinstance(data, list) and bool(data) and isinstance(data[0], dict) and any(role in data[0] for role in roles)


def read_chat(format: str, row: Mapping[str, Any], items: Any, place: Place) -> Trajectory:
    """The episode of a list of messages. Raises RecordError naming the message that does not fit."""
    if not isinstance(items, list):
        raise RecordError("Expected a list of messages.")
    messages = [_message(item, f"message {number}") for number, item in enumerate(items, 1)]
    _check_results(messages)
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
        instruction=goal(first) or goal("\n".join(lead)) or first.strip(),
        final_observation=rest,
        preamble="\n\n".join([*system, *lead]),
        ended="terminated" if rest or not messages or not messages[-1].calls else "truncated",
    )


def _message(item: Any, where: str) -> Message:
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
    text = content_text(item[names[0]], where) if names else ""
    loss = item.get("loss")
    trained = bool(loss) if isinstance(loss, bool | int | float) else None
    if role == "call":
        return Message("assistant", "", calls=(_json_call(text),), trained=trained)
    if role == "tool":
        id = item.get("tool_call_id")
        return Message(role, text, call_ids=(id,) if isinstance(id, str) else ())
    if role != "assistant":
        return Message(role, text)
    thought = next((item[name] for name in _REASONING if isinstance(item.get(name), str)), "")
    calls = item.get("tool_calls") or ([item["function_call"]] if item.get("function_call") else [])
    if not isinstance(calls, list):
        raise RecordError(f"{where}: tool_calls is not a list.")
    ids = tuple(call["id"] for call in calls if isinstance(call, dict) and isinstance(call.get("id"), str))
    return Message(role, text, thought, tuple(_call(call, where) for call in calls), ids, trained)


def _call(call: Any, where: str) -> str:
    """A tool call as an action; arguments that are not JSON stay as they are written."""
    function = call.get("function", call) if isinstance(call, dict) else None
    name = function.get("name") if isinstance(function, dict) else None
    if not isinstance(function, dict) or not isinstance(name, str) or not name:
        raise RecordError(f"{where}: a tool call without the name of its function.")
    arguments = function.get("arguments", function.get("args"))
    if isinstance(arguments, str):
        try:
            arguments = json.loads(arguments or "{}")
        except ValueError:
            return f"{name}({arguments})"
    return f"{name}({json.dumps({} if arguments is None else arguments, ensure_ascii=False)})"


def _json_call(text: str) -> str:
    try:
        return _call(json.loads(text), "function_call")
    except (ValueError, RecordError):
        return text.strip()


def _check_results(messages: list[Message]) -> None:
    """Raises RecordError for a tool's result that answers no call."""
    call_ids: set[str] = set()
    turns = 0
    for number, message in enumerate(messages, 1):
        if message.role == "assistant":
            turns += 1
            call_ids.update(message.call_ids)
        elif message.role == "tool" and (not turns or not call_ids.issuperset(message.call_ids)):
            ids = "".join(f" ({id[:60]})" for id in message.call_ids)
            raise RecordError(f"message {number}: a tool's result without a call{ids}.")


def _start(messages: list[Message]) -> int:
    """Where the episode begins: behind leading turns that only acknowledge the instructions, or that the file itself keeps out of
    training (`loss: false` before turns that are trained): the examples of a prompt."""
    turns = [index for index, message in enumerate(messages) if message.role == "assistant"]
    start = 0
    for turn, following in pairwise(turns):
        message = messages[turn]
        untrained = message.trained is False and any(messages[later].trained for later in turns)
        if message.calls or not (untrained or _ACKNOWLEDGED.fullmatch(message.text)):
            break
        if not any(other.role == "user" for other in messages[turn + 1 : following]):
            break
        start = turn + 1
    return start


def _turn(message: Message) -> dict[str, Any]:
    """Action, thought and note of a Step."""
    if message.calls:
        thought, text, _ = split_turn(message.text)
        thoughts = [message.thought, thought or "", text]
        return {"action": "\n".join(message.calls), "thought": "\n".join(filter(None, thoughts)) or None}
    thought, action, note = split_turn(message.text)
    return {"action": action, "thought": "\n".join(filter(None, [message.thought, thought])) or None, "note": note}
