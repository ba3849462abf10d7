"""How the fault of a plugin is described, in one way everywhere: kind, registered id, distribution, and how to check it.

    with boundary(RetrievalError, f"The {name_component('selector', selector)} raised", cure=advise("selector", selector)):
        selector.select(…)

    The selector 'short' of exprag-short raised ValueError: …
    Check it (exprag validate selector short), and report it to exprag-short.

What the plugin raised stays the `__cause__` of the error; `log_fault` writes its traceback to the log of the run.
"""

from __future__ import annotations

import logging
import traceback

from exprag.components import COMMANDS, Component, origin_of

log = logging.getLogger("exprag.faults")

_logged: set[tuple[str, str, int]] = set()


def name_component(kind: str, component: object) -> str:
    """How errors name a component, given as an object or by its name: "selector 'short' of exprag-short".

    An object that no plugin registered is named by its own name or class.
    """
    registered = _registered(kind, component)
    return registered.label if registered else f"{kind.replace('_', ' ')} {_own_name(component)!r}"


def advise(kind: str, component: object) -> str:
    """What a user can do about a fault of the component."""
    registered = _registered(kind, component)
    if registered:
        return registered.advice
    cls = type(component)
    if isinstance(component, str) or cls.__module__ == "__main__" or "<" in cls.__qualname__:
        return f"Report it to the author of the {kind.replace('_', ' ')}."
    return f"Check it: exprag validate {COMMANDS[kind]} {cls.__module__}:{cls.__qualname__}"


def log_fault(error: BaseException) -> None:
    """Log the traceback of what a plugin or a library raised, where an error of ours has it as its cause; each place once."""
    cause = error.__cause__
    if cause is None:
        return
    frames = traceback.extract_tb(cause.__traceback__)
    place = (type(cause).__name__, frames[-1].filename, frames[-1].lineno or 0) if frames else (type(cause).__name__, "", 0)
    if place not in _logged:
        _logged.add(place)
        log.warning("%s", error, exc_info=cause)


def _registered(kind: str, component: object) -> Component | None:
    if not isinstance(component, str):
        return origin_of(kind, component)
    from exprag.plugins import registry

    return registry().get_or_none(kind, component)


def _own_name(component: object) -> str:
    name = component if isinstance(component, str) else getattr(component, "name", "")
    return name if isinstance(name, str) and name else type(component).__name__
