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
from exprag.errors import ConfigError, ExpragError, ModelError, PluginError
from exprag.trajectory import Usage


@dataclass(frozen=True)
class Reply:
    """A model's turn: as read, its whole text, and the tokens that it cost where the model tells."""

    turn: Turn
    text: str
    usage: dict[str, Any] | None


def ask(model: BaseChatModel, style: AgentStyle, messages: Sequence[BaseMessage], templates: Sequence[str]) -> Reply:
    """Raises ModelError where the model fails, ConfigError where it has no structured output, PluginError for a broken style."""
    message, answer = _call_structured(model, style, messages) if style.structured else (_call(model, model, messages), None)
    text = str(message.text)
    try:
        if answer is not None:
            text = style.write_answer(answer)
        turn = style.parse(text, templates)
    except ExpragError:
        raise
    except Exception as error:
        raise PluginError(
            f"The style {style.name!r} could not read a turn: {type(error).__name__}: {error}.",
            cure="Its `parse` must not raise: report it to the style's author.",
        ) from error
    if not isinstance(turn, Turn) or not isinstance(turn.action, str):
        raise PluginError(f"The style {style.name!r} read a turn as {type(turn).__name__}.", cure="Its `parse` must give a Turn.")
    if style.structured and answer is None:
        turn = replace(turn, note="; ".join(filter(None, ["no structured answer: its text was read", turn.note])))
    usage = getattr(message, "usage_metadata", None)
    spent = Usage(prompt=usage["input_tokens"], completion=usage["output_tokens"]).to_dict() if usage else None
    return Reply(turn, text, spent)


def _call_structured(
    model: BaseChatModel, style: AgentStyle, messages: Sequence[BaseMessage]
) -> tuple[BaseMessage, Mapping[str, Any] | None]:
    """The message, and the fields of the style's schema if the model kept to it."""
    if style.schema is None:
        raise ConfigError(f"The style {style.name!r} has no schema for structured output.", cure="Leave `structured` off.")
    try:
        structured = model.with_structured_output(style.schema, include_raw=True)
    except (NotImplementedError, ValueError) as error:
        raise ConfigError(
            f"The model {type(model).__name__!r} offers no structured output ({error}).", cure="Leave `structured` off."
        ) from error
    found = _call(model, structured, messages)
    parsed = found["parsed"]
    return found["raw"], parsed.model_dump() if isinstance(parsed, BaseModel) else parsed


def _call(model: BaseChatModel, runnable: Any, messages: Sequence[BaseMessage]) -> Any:
    try:
        with telemetry.model_call(model) as answered:
            reply = runnable.invoke(list(messages))
            answered(reply["raw"] if isinstance(reply, dict) else reply)
    except ExpragError:
        raise
    except Exception as error:
        raise ModelError(f"The model failed: {type(error).__name__}: {error}") from error
    return reply
