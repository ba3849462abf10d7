"""What came with a chat model's answer beside its text: why it ended, reasoning in a field of its own, tool calls, usage.

Providers name these things in many ways; here they become a text, a thought and notes that say what was amiss.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from langchain_core.messages import AIMessage, BaseMessage

from exprag.text import without_controls
from exprag.trajectory import Usage
from exprag.usage import usage_of

LIMIT = 50_000
"""Characters of an answer that are read: no action is longer, and what comes after is left out."""
_SHOWN = 300  # characters of a refusal or a tool call in a note

_CUT = {"length", "max_tokens", "max_output_tokens", "max_new_tokens", "model_length", "model_context_window_exceeded"}
_FILTERED = {
    *("content_filter", "content_filtered", "safety", "recitation", "blocklist", "prohibited_content", "spii", "language"),
    *("guardrail_intervened", "error_toxic", "image_safety"),
}
_REASONS = ("finish_reason", "stop_reason", "stopReason", "done_reason", "finishReason")
_REASONING_FIELDS = ("reasoning_content", "reasoning", "thinking")
_TEXT_FIELDS = ("reasoning", "thinking", "reasoning_content", "text", "summary", "content")


@dataclass(frozen=True)
class Answer:
    """An answer as a style reads it.

    text       what the model wrote, at most LIMIT characters, without control characters
    reasoning  what it thought in a field of its own
    cut        whether generation was stopped before the turn ended
    overlong   whether the text was longer than LIMIT
    instead    what came instead of text, as written: a refusal, a tool call
    notes      what was amiss
    usage      tokens of the call, None where the server does not say, or says no counts
    """

    text: str
    reasoning: str = ""
    cut: bool = False
    overlong: bool = False
    instead: str = ""
    notes: tuple[str, ...] = ()
    usage: Usage | None = None


def read_answer(message: BaseMessage, *, structured: bool = False) -> Answer:
    """Read a message of a chat model. `structured`: tool calls are how the answer was asked for, and no fault. Never raises."""
    notes: list[str] = []
    whole = str(message.text)
    text = without_controls(whole[:LIMIT])
    if overlong := len(whole) > LIMIT:
        notes.append(f"the answer of {len(whole):,} characters was cut to {LIMIT:,}")
    if text != whole[:LIMIT]:
        notes.append("control characters were left out")
    reason = _reason(message)
    if reason in _CUT:
        notes.append(f"cut off by the token limit ({reason})")
    elif reason in _FILTERED:
        notes.append(f"stopped by the server's content filter ({reason})")
    refusal = _refusal(message)
    if refusal or reason == "refusal":
        notes.append(f"the model refused: {_short(refusal)}" if refusal else "the model refused to answer")
    calls = [] if structured else list(_tool_calls(message))
    notes += [note for note, _ in calls]
    reasoning = reasoning_of(message)
    if not text.strip() and reasoning and not notes:
        notes.append("the model gave reasoning and no answer")
    usage, broken = usage_of(message)
    if broken:
        notes.append("the usage that the server reported is no count of tokens, and was left out")
    instead = refusal or "\n".join(call for _, call in calls)
    return Answer(text, reasoning, reason in _CUT | _FILTERED, overlong, without_controls(instead[:LIMIT]), tuple(notes), usage)


def _reason(message: BaseMessage) -> str:
    """Why generation ended, in lower case; "" where the provider does not say."""
    about = message.response_metadata
    details = about.get("incomplete_details")
    values = [details.get("reason")] if isinstance(details, Mapping) else []
    values += [about.get(name) for name in _REASONS]
    return next((str(value).rpartition(".")[2].lower() for value in values if value), "")


def _refusal(message: BaseMessage) -> str:
    texts = [message.additional_kwargs.get("refusal")]
    texts += [block.get("refusal") for block in _blocks(message)]
    return next((text for text in texts if isinstance(text, str) and text), "")


def _tool_calls(message: BaseMessage) -> Iterator[tuple[str, str]]:
    """(a note, the call as written) for each tool that was called."""
    if not isinstance(message, AIMessage):
        return
    for call in message.tool_calls:
        written = f"{call['name']}({json.dumps(call['args'], ensure_ascii=False, default=str)})"
        yield f"the model called a tool instead of writing its turn: {_short(written)}", written
    for broken in message.invalid_tool_calls:
        written = f"{broken.get('name') or ''}({broken.get('args') or ''})"
        yield f"the model called a tool in a form that cannot be read: {_short(written)}", written


def reasoning_of(message: BaseMessage) -> str:
    """The reasoning that came in a field or part of its own; "" where none did."""
    return without_controls("\n".join(_reasoning(message)).strip()[:LIMIT])


def _reasoning(message: BaseMessage) -> Iterator[str]:
    for name in _REASONING_FIELDS:
        yield from _texts(message.additional_kwargs.get(name))
    for block in _blocks(message):
        if block.get("type") in ("thinking", "reasoning", "reasoning_content"):
            yield from next((texts for name in _TEXT_FIELDS if (texts := list(_texts(block.get(name))))), [])


def _texts(value: Any) -> Iterator[str]:
    """The texts in a field that may be a text, an object with one, or a list of those."""
    if isinstance(value, str):
        yield from [value] if value.strip() else []
    elif isinstance(value, Mapping):
        yield from next((texts for name in _TEXT_FIELDS if (texts := list(_texts(value.get(name))))), [])
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)


def _blocks(message: BaseMessage) -> list[Mapping[str, Any]]:
    return [block for block in message.content if isinstance(block, Mapping)] if isinstance(message.content, list) else []


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _SHOWN else line[: _SHOWN - 1] + "…"
