"""The plugin API. Implement any of these with `@exprag.hookimpl` in a module named by an entry point of group `exprag`.

Each hook is handed `register(name, factory, *, description="", requires=(), extra="", check=None)`:
    name         short id: lower-case letters and digits, in words joined by underscores (dashes of older ids count as the same).
                 Users may also write `distribution/name`; the short name of a built-in always means the built-in
    factory      "package.module:attribute" (imported only when used) or a callable; called with the user's options
    description  one line for `exprag plugins`
    requires     import names that must be installed, looked for without importing them
    extra        what to install when they are not: `pip install 'distribution[extra]'`
    check        "module:function" or callable → None, or a sentence saying what else is missing and how to get it
Registering must import nothing heavy and start nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import pluggy

hookspec = pluggy.HookspecMarker("exprag")
hookimpl = pluggy.HookimplMarker("exprag")


class Register(Protocol):
    """What a hook is handed: takes one component, as described at the top of this module."""

    def __call__(
        self,
        name: str,
        factory: str | Callable[..., Any],
        *,
        description: str = "",
        requires: tuple[str, ...] = (),
        extra: str = "",
        check: str | Callable[[], str | None] | None = None,
    ) -> None: ...


@hookspec
def register_environments(register: Register) -> None:
    """Environments: a factory of `exprag.contracts.TextEnvironment`."""


@hookspec
def register_query_strategies(register: Register) -> None:
    """Query strategies: a factory of `exprag.contracts.QueryStrategy` (the key of a trajectory, the query of a moment)."""


@hookspec
def register_selectors(register: Register) -> None:
    """Selectors: a factory of `exprag.contracts.Selector` (which of the scored candidates are kept)."""


@hookspec
def register_formatters(register: Register) -> None:
    """Formatters: a factory of `exprag.contracts.Formatter` (one trajectory as text)."""


@hookspec
def register_styles(register: Register) -> None:
    """Agent styles: a factory of `exprag.contracts.AgentStyle` (how the model is asked for an action, how its turn is read)."""


@hookspec
def register_models(register: Register) -> None:
    """Chat models: a factory of LangChain's `BaseChatModel`, called `factory(name, **options)`; see `exprag.contracts.model`."""


@hookspec
def register_trace_formats(register: Register) -> None:
    """Trace formats: a factory of `exprag.contracts.TraceFormat` (trajectories as other programs write them)."""


@hookspec
def register_distillers(register: Register) -> None:
    """Distillers: a factory of `exprag.contracts.Distiller` (finished episodes in, items such as hints out)."""
