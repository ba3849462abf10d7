"""One thing that a plugin registered: what is checked when it is registered, how it is found missing, imported and made.

A component that is named by an import path must be a class that implements its kind's contract: that is checked before anything
is called, so that `os:system` is not an environment.
"""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, cast

from exprag.errors import ConfigError, EnvError, ExpragError, ModelError, PluginError, boundary
from exprag.isolation import FAULTS, quiet, reason

KINDS = {
    "environment": "register_environments",
    "query_strategy": "register_query_strategies",
    "selector": "register_selectors",
    "formatter": "register_formatters",
    "style": "register_styles",
    "model": "register_models",
    "trace_format": "register_trace_formats",
    "distiller": "register_distillers",
}
CONTRACTS = {
    "environment": "exprag.contracts:TextEnvironment",
    "query_strategy": "exprag.contracts:QueryStrategy",
    "selector": "exprag.contracts:Selector",
    "formatter": "exprag.contracts:Formatter",
    "style": "exprag.contracts:AgentStyle",
    "model": "langchain_core.language_models:BaseChatModel",
    "trace_format": "exprag.contracts:TraceFormat",
    "distiller": "exprag.contracts:Distiller",
}
COMMANDS = {kind: kind for kind in KINDS} | {"environment": "env", "query_strategy": "strategy", "trace_format": "trace-format"}
"""The kinds as `exprag validate` calls them."""

ID = re.compile(r"[a-z0-9]+(?:[_-][a-z0-9]+)*")
"""The rule for ids: lower-case letters and digits, in words joined by underscores; dashes are taken too and count as the same."""

_ERRORS: dict[str, type[ExpragError]] = {"environment": EnvError, "model": ModelError}
_origins: dict[tuple[str, type], Component] = {}

_WORD = r"[^\W\d]\w*"
_IMPORT_PATH = re.compile(rf"{_WORD}(?:\.{_WORD})*:{_WORD}(?:\.{_WORD})*")


@dataclass(frozen=True)
class Component:
    """One thing that a plugin registered. `factory` and `check` may be import strings; see `exprag.hookspecs`. `by_path`: nobody
    registered it, a user named its class by an import path."""

    kind: str
    name: str
    factory: str | Callable[..., Any]
    distribution: str
    version: str = ""
    description: str = ""
    requires: tuple[str, ...] = ()
    extra: str = ""
    check: str | Callable[[], str | None] | None = None
    by_path: bool = False

    @property
    def qualified(self) -> str:
        return f"{self.distribution}/{self.name}"

    @property
    def label(self) -> str:
        """How errors name it: "formatter 'lines' of exprag-lines"."""
        return f"{self.kind.replace('_', ' ')} {self.name!r}" + ("" if self.by_path else f" of {self.distribution}")

    @property
    def advice(self) -> str:
        """What a user can do about a fault of it."""
        report = "" if self.by_path else f", and report it to {self.distribution}"
        return f"Check it (exprag validate {COMMANDS[self.kind]} {self.name}){report}."

    def problem(self) -> str | None:
        """None if it can be used; else what is missing and the cure. Imports nothing heavy."""
        missing = [name for name in self.requires if not _installed(name)]
        if missing:
            target = f"'{self.distribution}[{self.extra}]'" if self.extra else " ".join(missing).replace("_", "-")
            return f"missing {', '.join(missing)}: pip install {target}"
        if self.check is None:
            return None
        with quiet():
            try:
                answer = resolve(self.check)()
            except FAULTS as error:  # a third party's check may raise anything; it is reported, not raised
                return f"its check failed: {reason(error)}"
        if answer is None or isinstance(answer, str):
            return answer
        return f"its check gave a {type(answer).__name__}, not text or None"

    def load(self) -> Callable[..., Any]:
        """Import the factory. Raises PluginError where something is missing or the import fails, ConfigError where an import
        path names no class that implements the contract."""
        if any(not _installed(name) for name in self.requires):
            raise PluginError(f"The {self.label} cannot be used: {self.problem()}.")
        with quiet():
            try:
                factory = resolve(self.factory)
            except FAULTS as error:
                cure = "" if self.by_path else f"Reinstall it, or report it to {self.distribution}."
                raise PluginError(f"The {self.label} could not be imported: {reason(error)}.", cure=cure) from error
        if self.by_path:
            _check_contract(self, factory)
        return factory

    def create(self, **options: Any) -> Any:
        """Import and call the factory. Raises PluginError (missing, broken) or ConfigError (options it does not take)."""
        factory = self.load()
        try:
            inspect.signature(factory).bind(**options)
        except TypeError as error:
            takes = ", ".join(inspect.signature(factory).parameters) or "none"
            raise ConfigError(f"The {self.label} does not take these options: {error}.", cure=f"It takes: {takes}.") from error
        except ValueError:
            pass  # a builtin without a signature
        with boundary(_ERRORS.get(self.kind, PluginError), f"The {self.label} could not be made", cure=self.advice):
            component = factory(**options)
        _origins[self.kind, type(component)] = self
        return component


def origin_of(kind: str, component: object) -> Component | None:
    """The registered component that made an object, or objects of its class; None for one that nobody registered."""
    return _origins.get((kind, type(component)))


def is_import_path(text: str) -> bool:
    """Whether the text is "package.module:attribute": Python names with dots, and one colon between them."""
    return _IMPORT_PATH.fullmatch(text) is not None


def resolve(target: str | Callable[..., Any]) -> Callable[..., Any]:
    """What "package.module:attribute" names; a callable is itself. Raises what the import raises."""
    if not isinstance(target, str):
        return target
    module, _, attribute = target.partition(":")
    value: Any = importlib.import_module(module)
    for part in attribute.split("."):
        value = getattr(value, part)
    return cast(Callable[..., Any], value)


def check_registration(
    kind: str, name: object, factory: object, about: Mapping[str, Any], others: Collection[str]
) -> dict[str, Any]:
    """What `register` was given beside name and factory, in the types that are promised. `others`: ids that the hook registered
    before, with underscores. Raises PluginError saying what is wrong."""
    words = kind.replace("_", " ")
    if not isinstance(name, str) or not ID.fullmatch(name):
        raise PluginError(
            f"It registers a {words} under the id {name!r:.80}; an id is lower-case letters, digits and single underscores."
        )
    if name.replace("-", "_") in others:
        raise PluginError(f"It registers the {words} {name!r} twice.")
    if not callable(factory) and not (isinstance(factory, str) and is_import_path(factory)):
        raise PluginError(f'The factory of its {words} {name!r} must be "module:attribute" or a callable, not {factory!r:.80}.')
    checked = {"description": "", "requires": (), "extra": "", "check": None} | dict(about)
    if unknown := checked.keys() - {"description", "requires", "extra", "check"}:
        raise PluginError(f"It registers the {words} {name!r} with {', '.join(sorted(unknown))}, which `register` does not take.")
    for part in ("description", "extra"):
        if not isinstance(checked[part], str):
            raise PluginError(f"The {part} of its {words} {name!r} must be text, not {type(checked[part]).__name__}.")
    requires, check = checked["requires"], checked["check"]
    if not isinstance(requires, tuple | list) or not all(isinstance(module, str) for module in requires):
        raise PluginError(f"`requires` of its {words} {name!r} must be a tuple of module names, not {requires!r:.80}.")
    if not (check is None or callable(check) or (isinstance(check, str) and is_import_path(check))):
        raise PluginError(f'`check` of its {words} {name!r} must be "module:function" or a callable, not {check!r:.80}.')
    return {**checked, "requires": tuple(requires), "description": " ".join(checked["description"].split())}


def _check_contract(component: Component, target: object) -> None:
    """Raises ConfigError where an import path names something else than a class that implements the contract."""
    contract: Any = resolve(CONTRACTS[component.kind])
    if not isinstance(target, type) or not issubclass(target, contract):
        what = f"the class {target.__name__}" if isinstance(target, type) else f"a {type(target).__name__}"
        raise ConfigError(
            f"{component.name!r} is {what}, not a class that implements {contract.__name__}: it was not called.",
            cure=f"Name a class that implements exprag.authoring.{contract.__name__}.",
        )
    if missing := sorted(getattr(target, "__abstractmethods__", ())):
        raise ConfigError(f"{component.name!r} is unfinished: it does not implement {', '.join(missing)}.")


def _installed(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except (ImportError, ValueError):
        return False
