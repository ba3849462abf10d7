"""Load, isolate, list: everything that plugins bring, found by kind and name.

Entry points of group `exprag` are loaded one by one; one that raises or exits is remembered with its cure and stops nothing. What
plugins print while they are loaded goes to stderr.

Environment variables:
    EXPRAG_LOAD_PLUGINS   unset: all. "none" or empty: none. "a,b": only these distributions or entry points
                          (`exprag` is the distribution of the built-ins).
    EXPRAG_TRACE_PLUGINS  1: say on stderr which plugin answered each look-up, with the traceback of those that fail to load.
"""

from __future__ import annotations

import logging
import os
import sys
import time
import traceback
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any

import pluggy

from exprag import hookspecs
from exprag.components import KINDS, Component, check_registration, is_import_path, resolve
from exprag.errors import PluginError, closest
from exprag.isolation import FAULTS, quiet, reason

__all__ = ["KINDS", "Component", "Failure", "Registry", "create", "create_registered", "registry", "resolve"]

GROUP = "exprag"
BUILT_IN = "exprag"
SLOW_SECONDS = 1.0

log = logging.getLogger("exprag.plugins")


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

    def load_entry_points(self, only: Iterable[str] | None = None) -> None:
        """Load each entry point of the group apart; `only` limits to these distributions or entry point names."""
        names = None if only is None else set(only)
        for point in entry_points(group=GROUP):
            distribution, version = _distribution_of(point)
            if names is not None and not names & {point.name, distribution, f"{distribution}/{point.name}"}:
                continue
            started = time.perf_counter()
            with quiet():
                try:
                    self.add(point.load(), distribution, version, point.name)
                except FAULTS as error:  # whatever a third party's import raises must stop nothing else
                    self._fail(point.name, distribution, version, error)
            self.load_seconds[f"{distribution}/{point.name}"] = time.perf_counter() - started

    def add(self, plugin: object, distribution: str, version: str = "", entry_point: str = "") -> None:
        """Take what one plugin (a module or object with hook implementations) registers.

        A hook that raises, and a component that is registered wrongly, are among the failures; the rest counts.
        """
        manager = pluggy.PluginManager(GROUP)
        manager.add_hookspecs(hookspecs)
        manager.register(plugin)
        manager.check_pending()
        if not manager.get_hookcallers(plugin):
            raise PluginError(
                "It implements no hook of exprag.", cure=f"Mark one of {', '.join(KINDS.values())} with @exprag.hookimpl."
            )
        source = entry_point or type(plugin).__name__
        for kind, hook in KINDS.items():
            components: dict[str, Component] = {}

            def register(name: str, factory: str | Callable[..., Any], **about: Any) -> None:
                try:
                    about = check_registration(kind, name, factory, about, components)  # noqa: B023
                except PluginError as error:
                    self._fail(source, distribution, version, error)
                else:
                    components[_spelling(name)] = Component(kind, name, factory, distribution, version, **about)  # noqa: B023

            with quiet():
                try:
                    getattr(manager.hook, hook)(register=register)
                except FAULTS as error:  # as above; the plugin's other hooks still count
                    self._fail(source, distribution, version, error)
                    continue
            self.components.extend(components.values())

    def _fail(self, entry_point: str, distribution: str, version: str, error: BaseException) -> None:
        self.failures.append(Failure(entry_point, distribution, version, reason(error)))
        log.info("the plugin %s of %s failed to load", entry_point, distribution, exc_info=error)
        if _traced():
            traceback.print_exception(error, file=sys.stderr)

    def names(self, kind: str) -> list[str]:
        """The short names of a kind."""
        return sorted({component.name for component in self.components if component.kind == kind})

    def get(self, kind: str, name: str) -> Component:
        """The component of a short or qualified name, or of an import path "module:Class" that is not a plugin.

        A short name of a built-in is always the built-in's. Underscores and dashes count as the same. Raises PluginError with
        near names, or both owners of a clash.
        """
        if ":" in name:
            return self._by_path(kind, name)
        matches = [c for c in self.components if c.kind == kind and _spelling(name) in map(_spelling, (c.name, c.qualified))]
        matches = [c for c in matches if c.distribution == BUILT_IN] or matches
        if len({component.qualified for component in matches}) > 1:
            owners = " or ".join(component.qualified for component in matches)
            raise PluginError(f"Several plugins bring a {_words(kind)} {name!r}.", cure=f"Say which: {owners}.")
        if not matches:
            broken = "".join(f" (Plugin {f.entry_point!r} failed to load: {f.reason})" for f in self.failures)
            raise PluginError(f"There is no {_words(kind)} {name!r}.{broken}", cure=closest(name, self.names(kind)))
        if _traced():
            print(f"exprag: {kind} {name!r} answered by {matches[-1].qualified} {matches[-1].version}", file=sys.stderr)
        return matches[-1]

    def registered(self, kind: str, name: str) -> Component:
        """As `get`, for a name that comes from a file or a bank: an import path is refused, and nothing is imported."""
        if ":" in name:
            raise PluginError(
                f"{name!r} names code; only the name of an installed {_words(kind)} is taken here.",
                cure="Install it as a plugin, or hand the object over in Python.",
            )
        return self.get(kind, name)

    def shadowed(self, component: Component) -> bool:
        """Whether the component's short name is another's: a built-in has the same one."""
        return self.get_or_none(component.kind, component.name) not in (None, component)

    def get_or_none(self, kind: str, name: str) -> Component | None:
        """As `get`; None where there is no such component, or more than one."""
        try:
            return self.get(kind, name)
        except PluginError:
            return None

    def create(self, kind: str, name: str, **options: Any) -> Any:
        return self.get(kind, name).create(**options)

    def _by_path(self, kind: str, path: str) -> Component:
        module = path.partition(":")[0]
        if not is_import_path(path):
            raise PluginError(f"{path!r} is not an import path.", cure="Write package.module:Class.")
        if module in self.names("model"):  # a model spec: readers of files let it pass, so nothing may be imported by it
            raise PluginError(f"{path!r} is the spec of a model, not a {_words(kind)}.", cure=closest(path, self.names(kind)))
        return Component(kind, path, path, distribution=module.partition(".")[0], by_path=True)


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


def create_registered(kind: str, name: str, **options: Any) -> Any:
    """As `create`, for a name that comes from a file or a bank: an import path is refused (PluginError)."""
    return registry().registered(kind, name).create(**options)


def _traced() -> bool:
    return os.environ.get("EXPRAG_TRACE_PLUGINS", "") not in ("", "0")


def _spelling(name: str) -> str:
    return name.replace("-", "_")


def _words(kind: str) -> str:
    return kind.replace("_", " ")


def _distribution_of(point: EntryPoint) -> tuple[str, str]:
    return (point.dist.name or "unknown", point.dist.version or "") if point.dist else ("unknown", "")
