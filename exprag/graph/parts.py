"""The loop's nodes, made from names: what `build_agent` wires, and whoever wires them otherwise."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from langchain_core.language_models import BaseChatModel

from exprag.config import AgentConfig
from exprag.contracts.environment import TextEnvironment
from exprag.contracts.formatter import Formatter
from exprag.contracts.style import AgentStyle
from exprag.environments.sessions import Sessions
from exprag.errors import ConfigError
from exprag.graph.nodes import Act, Begin, Finish, Observe, Retrieve
from exprag.models import load_model, public_spec, token_counter
from exprag.models.cards import warn_if_served_otherwise
from exprag.models.ranking import with_hint_model
from exprag.models.tokens import defuser
from exprag.plugins import create
from exprag.retrieval import Retriever

if TYPE_CHECKING:
    from exprag.bank import Bank


@dataclass(frozen=True)
class Nodes:
    """The nodes of one agent; `retrieve` is None for the agent without memory."""

    begin: Begin
    observe: Observe
    retrieve: Retrieve | None
    act: Act
    finish: Finish


def make_nodes(
    environment: str | Callable[[], TextEnvironment] | Sessions,
    model: str | BaseChatModel = "case-based",
    *,
    bank: Bank | str | Path | Callable[[], Bank] | None = None,
    retriever: Retriever | Callable[[], Retriever] | None = None,
    config: AgentConfig | None = None,
    style: str | AgentStyle | None = None,
    formatter: str | Formatter | None = None,
    max_steps: int | None = None,
    environment_options: Mapping[str, Any] | None = None,
    **choices: Any,
) -> Nodes:
    """The nodes for `exprag.graph.build_agent`, which see for the arguments."""
    if isinstance(style, str):
        choices["style"] = style
    if isinstance(formatter, str):
        choices["formatter"] = formatter
    if config is not None and choices:
        raise ConfigError("Give a config or its fields, not both.", cure="config.changed(k=3) changes a field.")
    config = config or AgentConfig.make(**choices)
    if isinstance(environment, str):
        environment = partial(create, "environment", environment, **(environment_options or {}))
    sessions = environment if isinstance(environment, Sessions) else Sessions(environment)
    opened: Bank | None = None
    if callable(bank) and not config.examples.startswith("bank:"):
        make_bank = bank
        retriever = retriever or (lambda: with_hint_model(config.make_retriever(make_bank())))
    elif bank is not None:
        opened = _open(bank)
        retriever = retriever or with_hint_model(config.make_retriever(opened))
    name = public_spec(model) if isinstance(model, str) else getattr(model, "model_name", None) or type(model).__name__
    chat = load_model(model)
    warn_if_served_otherwise(chat, config, memory=retriever is not None)
    count_tokens = token_counter(chat)
    inert = defuser(getattr(chat, "tokenizer", None))
    prompt = config.make_prompt(sessions.describe, opened, count_tokens, inert)
    if isinstance(style, AgentStyle):
        prompt = replace(prompt, style=style)
    if hasattr(chat, "with_style"):  # a model that writes and reads turns itself, see exprag.contracts.model
        chat = chat.with_style(prompt.style)
    written = formatter if isinstance(formatter, Formatter) else config.make_formatter()
    return Nodes(
        Begin(sessions.describe),
        Observe(sessions, max_steps),
        Retrieve(retriever, written, config.memory_options(inert), count_tokens) if retriever is not None else None,
        Act(chat, prompt),
        Finish(sessions, name),
    )


def _open(bank: Bank | str | Path | Callable[[], Bank]) -> Bank:
    from exprag.bank import Bank

    if isinstance(bank, Bank):
        return bank
    return bank() if callable(bank) else Bank.open(bank)
