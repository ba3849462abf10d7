"""The chat model that distillers ask, for the commands that name distillers."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from exprag.errors import ConfigError
from exprag.plugins import registry

if TYPE_CHECKING:
    from exprag.runs.config import RunConfig

Writer = Annotated[
    str, Parameter(help="Chat model of the distillers that ask one; default: the agent's own, where it is a language model.")
]


def with_writer(names: Sequence[str], writer: str, run: RunConfig) -> list[tuple[str, dict[str, Any]]]:
    """Distillers with their options: the chat model of those that ask one, the writer or the run's own. Raises ConfigError where
    there is none, PluginError for an unknown distiller."""
    model = writer or ("" if run.model.partition("?")[0] == "case-based" else run.model)
    distillers = [(name, {"model": model} if _asks_model(name) else {}) for name in names]
    if not model and (needy := [name for name, settings in distillers if settings]):
        raise ConfigError(f"{', '.join(needy)} ask a chat model, and none is named.", cure="Name one with --writer.")
    return distillers


def _asks_model(name: str) -> bool:
    """Whether a distiller takes a model. Raises PluginError for an unknown one."""
    return "model" in inspect.signature(registry().get("distiller", name).load()).parameters
