"""Chats as text, through a tokenizer's chat template: the one place that renders them, for serving and for training rows.

Some templates drop the system message, write it after the conversation, refuse it, or demand that user and assistant alternate.
Task and memory stand in our system message, so every template is tried once with a short chat before anything is played or
trained: what the model must read has to be there, in order. Where it is not, the system message is folded into the first user
message (`system="auto"`), or an error says so (`system="native"`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from exprag.errors import ConfigError, describe
from exprag.text import encodable

SYSTEMS = ("auto", "fold", "native")
Message = Mapping[str, str]

_PROBE = (
    {"role": "system", "content": "Instruction alpha.\n\nYour task: bravo"},
    {"role": "user", "content": "charlie is seen"},
    {"role": "assistant", "content": "delta is done"},
    {"role": "user", "content": "echo is seen"},
)
_PARTS = ("alpha", "bravo", "charlie", "echo")  # what must be read; templates may rewrite earlier turns of the assistant
_NAMES = {"alpha": "the instruction", "bravo": "the task", "charlie": "the first observation", "echo": "the last observation"}


class ChatTemplate:
    """Renders chats with one tokenizer's template. Raises ConfigError for a tokenizer whose template cannot be used.

    system  fold: the system message becomes the beginning of the first user message, and messages of one role that follow each
            other are joined; native: messages go in as they are; auto: native where the template passes the check, else fold
    kwargs  fields for the template, such as {"enable_thinking": False}
    folds   whether this template folds
    """

    def __init__(self, tokenizer: Any, system: str = "auto", kwargs: Mapping[str, Any] | None = None) -> None:
        self.name = str(getattr(tokenizer, "name_or_path", "") or type(tokenizer).__name__)
        if system not in SYSTEMS:
            raise ConfigError(f"system is one of {', '.join(SYSTEMS)}; not {system!r}.")
        if not getattr(tokenizer, "chat_template", None):
            cure = "Use an instruction-tuned (chat) model."
            raise ConfigError(f"The tokenizer of {self.name!r} has no chat template.", cure=cure)
        self.tokenizer, self.system, self.kwargs = tokenizer, system, dict(kwargs or {})
        faults = {folds: self._fault(folds) for folds in {"auto": (False, True), "fold": (True,), "native": (False,)}[system]}
        self.folds = next((folds for folds, fault in faults.items() if not fault), False)
        if all(faults.values()):
            cure = "Write system=fold (or auto)." if system == "native" else "Use a model with another chat template."
            raise ConfigError(f"The chat template of {self.name!r} cannot be used: {next(iter(faults.values()))}.", cure=cure)

    def render(self, messages: Sequence[Message], *, generate: bool = True) -> str:
        """The chat as UTF-8 text, with `generate` up to where the assistant's turn begins. Raises ConfigError if it refuses."""
        try:
            return self._render(messages, self.folds, generate)
        except Exception as error:
            raise ConfigError(f"The chat template of {self.name!r} refuses a chat: {describe(error)}") from error

    def missing(self, messages: Sequence[Message], rendered: str) -> str:
        """What of the system message or the last message the rendered prompt lacks; "" if it is all there."""
        text = " ".join(rendered.split())
        parts = [("the system message (task and memory)", m) for m in messages[:1] if m["role"] == "system"]
        parts += [("the last observation", messages[-1])] if messages else []
        return next((what for what, m in parts if " ".join(encodable(m["content"]).split()) not in text), "")

    def _render(self, messages: Sequence[Message], folds: bool, generate: bool = True) -> str:
        chat = [dict(message) for message in (fold(messages) if folds else messages)]
        text = self.tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=generate, **self.kwargs)
        return encodable(text)

    def _fault(self, folds: bool) -> str:
        """What is wrong with the rendering of a short chat; "" if it is right."""
        try:
            text = self._render(_PROBE, folds)
        except Exception as error:  # noqa: BLE001 - a template may raise anything
            return f"it refuses a chat of a system message and turns: {describe(error).rstrip('.')}"
        places = [text.find(part) for part in _PARTS]
        absent = [_NAMES[part] for part, place in zip(_PARTS, places, strict=True) if place < 0]
        if absent:
            return f"it leaves out {' and '.join(absent)}"
        if places != sorted(places):
            return "it writes the system message after the conversation"
        return ""


def fold(messages: Sequence[Message]) -> list[Message]:
    """The chat without a system message: its text begins the first user message. Messages of one role are joined."""
    chat: list[dict[str, str]] = []
    for message in messages:
        role = "user" if message["role"] in ("system", "tool") else message["role"]
        if chat and chat[-1]["role"] == role:
            chat[-1]["content"] += "\n\n" + message["content"]
        else:
            chat.append({"role": role, "content": message["content"]})
    return list(chat)
