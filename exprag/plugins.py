"""Load, isolate, list: everything that plugins bring, found by kind and name.

Entry points of group `exprag` are loaded one by one; one that raises is remembered with its cure and stops nothing.

Environment variables:
    EXPRAG_LOAD_PLUGINS   unset: all. "none" or empty: none. "a,b": only these distributions or entry points
                          (`exprag` is the distribution of the built-ins).
    EXPRAG_TRACE_PLUGINS  1: say on stderr which plugin answered each look-up.
"""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import os
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any, cast

import pluggy

from exprag import hookspecs
from exprag.errors import ConfigError, ExpragError, PluginError, closest

GROUP = "exprag"
SLOW_SECONDS = 1.0
KINDS = {
    "environment": "register_environments",
    "query_strategy": "register_query_strategies",
    "selector": "register_selectors",
    "formatter": "register_formatters",
    "style": "register_styles",
    "model": "register_models",
}


@dataclass(frozen=True)
class Component:
    """One thing that a plugin registered. `factory` and `check` may be import strings; see `exprag.hookspecs`."""

    kind: str
    name: str
    factory: str | Callable[..., Any]
    distribution: str
    version: str = ""
    description: str = ""
    requires: tuple[str, ...] = ()
    extra: str = ""
    check: str | Callable[[], str | None] | None = None

    @property
    def qualified(self) -> str:
        return f"{self.distribution}/{self.name}"

    def problem(self) -> str | None:
        """None if it can be used; else what is missing and the cure. Imports nothing heavy."""
        missing = [name for name in self.requires if not _installed(name)]
        if missing:
            target = f"'{self.distribution}[{self.extra}]'" if self.extra else " ".join(missing).replace("_", "-")
            return f"missing {', '.join(missing)}: pip install {target}"
        if self.check is None:
            return None
        try:
            return resolve(self.check)()
        except Exception as error:  # noqa: BLE001 - a third party's check may raise anything; it is reported, not raised
            return f"its check failed: {type(error).__name__}: {error}"

    def load(self) -> Callable[..., Any]:
        """Import the factory. Raises PluginError where something is missing or the import fails."""
        missing = [name for name in self.requires if not _installed(name)]
        if missing:
            raise PluginError(f"The {self.kind} {self.name!r} cannot be used: {self.problem()}.")
        try:
            return resolve(self.factory)
        except Exception as error:
            raise PluginError(
                f"The {self.kind} {self.name!r} of {self.distribution} could not be imported: {type(error).__name__}: {error}.",
                cure=f"Reinstall or report it to {self.distribution}.",
            ) from error

    def create(self, **options: Any) -> Any:
        """Import and call the factory. Raises PluginError (missing, broken) or ConfigError (options it does not take)."""
        factory = self.load()
        try:
            inspect.signature(factory).bind(**options)
        except TypeError as error:
            takes = ", ".join(inspect.signature(factory).parameters) or "none"
            raise ConfigError(
                f"The {self.kind} {self.name!r} does not take these options: {error}.", cure=f"It takes: {takes}."
            ) from error
        except ValueError:
            pass  # a builtin without a signature
        return factory(**options)


@dataclass(frozen=True)
class Failure:
    """A plugin that could not be loaded, or part of it: shown in listings, raised only when it is asked for."""

    entry_point: str
    distribution: str
    version: str
    reason: str


class Registry:
    """Components by kind and name, with the plugins that could not be loaded."""

    def __init__(self) -> None:
        self.components: list[Component] = []
        self.failures: list[Failure] = []
        self.load_seconds: dict[str, float] = {}

    def load_entry_points(self, chosen: Iterable[str] | None = None) -> None:
        """Load each entry point of the group apart; `chosen` limits to these distributions or entry point names."""
        wanted = None if chosen is None else set(chosen)
        for point in entry_points(group=GROUP):
            distribution, version = _distribution_of(point)
            if wanted is not None and not wanted & {point.name, distribution, f"{distribution}/{point.name}"}:
                continue
            started = time.perf_counter()
            try:
                self.add(point.load(), distribution, version, point.name)
            except Exception as error:  # noqa: BLE001 - whatever a third party's import raises must stop nothing else
                self._fail(point.name, distribution, version, error)
            self.load_seconds[f"{distribution}/{point.name}"] = time.perf_counter() - started

    def add(self, plugin: object, distribution: str, version: str = "", entry_point: str = "") -> None:
        """Take what one plugin (a module or object with hook implementations) registers."""
        manager = pluggy.PluginManager(GROUP)
        manager.add_hookspecs(hookspecs)
        manager.register(plugin)
        manager.check_pending()
        if not manager.get_hookcallers(plugin):
            raise PluginError(
                "It implements no hook of exprag.", cure=f"Mark one of {', '.join(KINDS.values())} with @exprag.hookimpl."
            )
        for kind, hook in KINDS.items():
            found: list[Component] = []

            def register(name: str, factory: str | Callable[..., Any], **about: Any) -> None:
                found.append(Component(kind, name, factory, distribution, version, **about))  # noqa: B023

            try:
                getattr(manager.hook, hook)(register=register)
            except Exception as error:  # noqa: BLE001 - as above; the plugin's other hooks still count
                self._fail(entry_point or repr(plugin), distribution, version, error)
                continue
            self.components.extend(found)

    def _fail(self, entry_point: str, distribution: str, version: str, error: Exception) -> None:
        reason = str(error) if isinstance(error, ExpragError) else f"{type(error).__name__}: {error}"
        self.failures.append(Failure(entry_point, distribution, version, reason))

    def names(self, kind: str) -> list[str]:
        return sorted({c.name for c in self.components if c.kind == kind})

    def get(self, kind: str, name: str) -> Component:
        """The component of a short or qualified name, or of an import path "module:attribute" that is no plugin.

        Raises PluginError with near names, or both owners of a clash.
        """
        if ":" in name:
            return Component(kind, name, name, distribution=name.partition(":")[0])
        found = [c for c in self.components if c.kind == kind and name in (c.name, c.qualified)]
        if len({c.qualified for c in found}) > 1:
            owners = " or ".join(c.qualified for c in found)
            raise PluginError(f"Several plugins bring a {kind} {name!r}.", cure=f"Say which: {owners}.")
        if not found:
            broken = "".join(f" (Plugin {f.entry_point!r} failed to load: {f.reason})" for f in self.failures)
            raise PluginError(f"There is no {kind} {name!r}.{broken}", cure=closest(name, self.names(kind)))
        if os.environ.get("EXPRAG_TRACE_PLUGINS", "") not in ("", "0"):
            print(f"exprag: {kind} {name!r} answered by {found[-1].qualified} {found[-1].version}", file=sys.stderr)
        return found[-1]

    def create(self, kind: str, name: str, **options: Any) -> Any:
        return self.get(kind, name).create(**options)


@lru_cache(maxsize=1)
def registry() -> Registry:
    """The registry of this process: loaded once, at first use, as EXPRAG_LOAD_PLUGINS says."""
    loaded = Registry()
    setting = os.environ.get("EXPRAG_LOAD_PLUGINS")
    names = None if setting is None else [n.strip() for n in setting.split(",") if n.strip() not in ("", "none")]
    loaded.load_entry_points(names)
    return loaded


def create(kind: str, name: str, **options: Any) -> Any:
    """Make a component by kind and name: `create("environment", "scienceworld")`."""
    return registry().create(kind, name, **options)


def _installed(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except (ImportError, ValueError):
        return False


def resolve(target: str | Callable[..., Any]) -> Callable[..., Any]:
    """What "package.module:attribute" names; a callable is itself. Raises what the import raises."""
    if not isinstance(target, str):
        return target
    module, _, attribute = target.partition(":")
    found: Any = importlib.import_module(module)
    for part in attribute.split("."):
        found = getattr(found, part)
    return cast(Callable[..., Any], found)


def _distribution_of(point: EntryPoint) -> tuple[str, str]:
    return (point.dist.name, point.dist.version) if point.dist else ("unknown", "")
