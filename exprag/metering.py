"""What an episode takes, by boundary: seconds of the environment, of retrieval and of the model, and the tokens of their calls.

    with measured() as meter:          # whoever plays the episode
        …                              # the nodes: with timed("environment"): …
    meter.to_json()

Without a meter nothing is measured, and `timed` costs a look at a context variable. The agent's calls are counted where they are
made. Inside `counted("selector")` every chat model that is called counts as the selector's, whoever wrote it, where it says its
tokens: through LangChain's callbacks.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import cache
from threading import Lock
from typing import Any

from exprag.trajectory import Usage
from exprag.usage import usage_of

AGENT = "agent"
"""The boundary of the agent's own calls."""


@dataclass
class Tokens:
    """Tokens of some model calls: how many calls, read, written, and those read that came from a cache."""

    calls: int = 0
    prompt: int = 0
    completion: int = 0
    cached: int = 0

    def add(self, usage: Usage) -> None:
        self.calls += 1
        self.prompt += usage.prompt
        self.completion += usage.completion
        self.cached += usage.cached or 0


@dataclass
class Meter:
    """The figures of one episode; threads may share it."""

    seconds: dict[str, float] = field(default_factory=dict)
    usage: dict[str, Tokens] = field(default_factory=dict)
    _lock: Lock = field(default_factory=Lock)

    def add_seconds(self, boundary: str, seconds: float) -> None:
        with self._lock:
            self.seconds[boundary] = self.seconds.get(boundary, 0.0) + seconds

    def add_usage(self, boundary: str, usage: Usage) -> None:
        with self._lock:
            self.usage.setdefault(boundary, Tokens()).add(usage)

    def to_json(self) -> dict[str, Any]:
        """What a trajectory's `provenance.extra` holds.

        seconds   wall time by boundary
        usage     {calls, prompt, completion, cached} by boundary
        tokens    {"retrieval": …}: read and written by models that were called while the bank was asked; left out where none was
        """
        seconds = {name: round(value, 4) for name, value in self.seconds.items()}
        usage = {name: vars(counts).copy() for name, counts in self.usage.items()}
        figures: dict[str, Any] = {"seconds": seconds, "usage": usage}
        if others := [counts.prompt + counts.completion for name, counts in self.usage.items() if name != AGENT]:
            figures["tokens"] = {"retrieval": sum(others)}
        return figures


_meter: ContextVar[Meter | None] = ContextVar("exprag_meter", default=None)


@contextmanager
def measured() -> Iterator[Meter]:
    """What happens inside, in this thread and in those that take its context along, is measured."""
    meter = Meter()
    token = _meter.set(meter)
    try:
        yield meter
    finally:
        _meter.reset(token)


@contextmanager
def timed(boundary: str) -> Iterator[None]:
    """The time inside is the boundary's."""
    meter = _meter.get()
    if meter is None:
        yield
        return
    started = time.perf_counter()
    try:
        yield
    finally:
        meter.add_seconds(boundary, time.perf_counter() - started)


def count_usage(boundary: str, usage: Usage | None) -> None:
    """Count a call of a model that said its tokens."""
    meter = _meter.get()
    if meter is not None and usage is not None:
        meter.add_usage(boundary, usage)


@contextmanager
def counted(boundary: str) -> Iterator[None]:
    """The chat models that are called inside are counted as the boundary's."""
    if _meter.get() is None:
        yield
        return
    variable, handler = _hook()
    token = variable.set(handler(boundary))
    try:
        yield
    finally:
        variable.reset(token)


@cache
def _hook() -> tuple[ContextVar[Any], type[Any]]:
    """The context variable from which LangChain takes a handler for every call, and the handler's class."""
    from langchain_core.callbacks import BaseCallbackHandler
    from langchain_core.tracers.context import register_configure_hook

    class Counter(BaseCallbackHandler):
        """Counts what each call says of its tokens."""

        def __init__(self, boundary: str) -> None:
            self.boundary = boundary

        def on_llm_end(self, response: Any, **_: Any) -> None:
            for generations in response.generations:
                count_usage(self.boundary, usage_of(getattr(generations[0], "message", None) if generations else None)[0])

    variable: ContextVar[Any] = ContextVar("exprag_call_counter", default=None)
    register_configure_hook(variable, inheritable=True)
    return variable, Counter
