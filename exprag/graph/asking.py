"""One call of the chat model: messages in, its turn read by the style out; as text, or structured where that is asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import BaseMessage
from pydantic import BaseModel

from exprag import telemetry
from exprag.contracts.style import AgentStyle, Turn
from exprag.errors import ConfigError, PluginError, boundary
from exprag.faults import advise, name_component
from exprag.metering import AGENT, count_usage, timed
from exprag.models.answers import Answer, read_answer
from exprag.models.calls import call_guarded


@dataclass(frozen=True)
class Reply:
    """A model's turn: as read, its whole text, and the tokens that it cost where the model says."""

    turn: Turn
    text: str
    usage: dict[str, Any] | None


def ask(model: BaseChatModel, style: AgentStyle, messages: Sequence[BaseMessage], templates: Sequence[str]) -> Reply:
    """Raises ModelError where the model fails, ConfigError where it has no structured output, PluginError for a broken style."""
    message, fields = _call_structured(model, style, messages) if style.structured else (_call(model, model, messages), None)
    answer = read_answer(message, structured=fields is not None)
    count_usage(AGENT, answer.usage)
    name, cure = name_component("style", style), f"Its `parse` must not raise, and must give a Turn. {advise('style', style)}"
    with boundary(PluginError, f"The {name} could not read a turn", cure=cure):
        text = answer.text if fields is None else style.write_answer(fields)
        turn = style.parse(text, templates)
    if not isinstance(turn, Turn) or not isinstance(turn.action, str):
        raise PluginError(f"The {name} read a turn as {type(turn).__name__}.", cure=cure)
    if fields is None:
        turn = _judge(turn, answer)
        if style.structured:
            turn = _noted(turn, "no structured answer: its text was read")
    return Reply(turn, text if text.strip() else answer.instead, answer.usage.to_dict() if answer.usage else None)


def _judge(turn: Turn, answer: Answer) -> Turn:
    """The turn with what came beside its text: reasoning is the thought, and a line that was cut off is not an action."""
    notes = list(answer.notes)
    if turn.note and (answer.text.strip() or not notes):  # of an empty text, the cause says more than that it is empty
        notes.append(turn.note)
    action = turn.action
    if action and (answer.cut or answer.overlong) and _ends_with(answer.text, action, labelled=answer.overlong):
        notes.append(f"the line {action[:80]!r} is not an action: it is not whole")
        action = ""
    return Turn(action, turn.thought or answer.reasoning or None, "; ".join(notes) or None)


def _ends_with(text: str, action: str, labelled: bool) -> bool:
    """Whether the action is the last line of a text, which was cut off in it; with `labelled`, also after a label."""
    lines = text.splitlines()
    if not lines or text.endswith("\n"):
        return False
    last, letters = ("".join(filter(str.isalnum, line)) for line in (lines[-1], action))
    return last.endswith(letters) if labelled else last == letters


def _noted(turn: Turn, note: str) -> Turn:
    return replace(turn, note="; ".join(filter(None, [note, turn.note])))


def _call_structured(
    model: BaseChatModel, style: AgentStyle, messages: Sequence[BaseMessage]
) -> tuple[BaseMessage, Mapping[str, Any] | None]:
    """The message, and the fields of the style's schema if the model kept to it."""
    if style.schema is None:
        raise ConfigError(f"The style {style.name!r} has no schema for structured output.", cure="Leave `structured` off.")
    offers = f"The model {type(model).__name__!r} offers no structured output"
    with boundary(ConfigError, offers, cure="Leave `structured` off.", catch=(NotImplementedError, ValueError)):
        structured = model.with_structured_output(style.schema, include_raw=True)
    reply = _call(model, structured, messages)
    parsed = reply["parsed"]
    return reply["raw"], parsed.model_dump() if isinstance(parsed, BaseModel) else parsed


def _call(model: BaseChatModel, runnable: Any, messages: Sequence[BaseMessage]) -> Any:
    def call(prompt: list[BaseMessage]) -> Any:
        with timed("model"), telemetry.model_call(model) as record:
            reply = runnable.invoke(prompt)
            record(reply["raw"] if isinstance(reply, dict) else reply)
        return reply

    return call_guarded(model, call, messages)
