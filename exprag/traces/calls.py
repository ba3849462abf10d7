"""Tool calls and the text that they are as an action: `name({"argument": "value"})`, each on a line of its own."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from typing import Any

from exprag.trajectory import Step, ToolCall

_LINE = re.compile(r"(?P<name>[^\s(){}\"']+)\((?P<arguments>\{.*\})\)", re.DOTALL)


def action_of(calls: Iterable[ToolCall]) -> str:
    """The calls as an action."""
    return "\n".join(_written(call) for call in calls)


def _written(call: ToolCall) -> str:
    text = call.arguments if isinstance(call.arguments, str) else json.dumps(call.arguments, ensure_ascii=False)
    return f"{call.name}({text})"


def calls_of(step: Step) -> tuple[ToolCall, ...]:
    """The tool calls of a step: those on record, or those that its action is written as; none where the action is other text."""
    if step.calls:
        return step.calls
    calls = []
    for line in step.action.split("\n"):
        match = _LINE.fullmatch(line)
        try:
            arguments = parsed(match["arguments"]) if match else None
        except (ValueError, RecursionError):
            arguments = None
        if match is None or not isinstance(arguments, dict):
            return ()
        calls.append(ToolCall(name=match["name"], arguments=arguments))
    return tuple(calls)


def arguments_of(value: Any) -> dict[str, Any] | str:
    """The arguments of a call as foreign files have them: an object, the JSON text of one, or text that is none."""
    if value is None:
        return {}
    if isinstance(value, str):
        try:
            arguments = parsed(value or "{}")
        except (ValueError, RecursionError):
            return value
        return arguments if isinstance(arguments, dict) else value
    return value if isinstance(value, dict) else json.dumps(value, ensure_ascii=False)


def parsed(text: str) -> Any:
    """JSON as it is defined: NaN and the infinities, which Python reads and a record cannot hold, raise ValueError too."""
    return json.loads(text, parse_constant=_refuse)


def _refuse(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def beyond_results(calls: Sequence[ToolCall], observation: str) -> str | None:
    """What an observation says beyond the results of the calls before it; None where it does not begin with those."""
    results = [call.result for call in calls if call.result is not None]
    if not results:
        return observation
    joint = "\n".join(results)
    if observation == joint:
        return ""
    return observation[len(joint) + 1 :] if observation.startswith(joint + "\n") and observation != joint + "\n" else None
