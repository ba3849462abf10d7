"""What an episode takes, by boundary: seconds of the environment, of retrieval and of the model, and the tokens of their calls.

    with measured() as meter:          # whoever plays the episode
        …                              # nodes: with timed("retrieval"): …
    meter.to_json()

Without a meter nothing is measured, and `timed` costs a look at a context variable. A chat model that is called inside
`timed("retrieval")`, by a selector or a query strategy of a plugin, is counted there if it says its tokens; the agent's own calls
are counted by the node that makes them.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from threading import Lock
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from exprag.trajectory import Usage

EXTRA = "measured"
"""Where in a trajectory's `provenance.extra` the figures stand."""


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
        """{"seconds": {boundary: seconds}, "usage": {boundary: {calls, prompt, completion, cached}}}."""
        seconds = {name: round(value, 4) for name, value in self.seconds.items()}
        return {"seconds": seconds, "usage": {name: vars(tokens).copy() for name, tokens in self.usage.items()}}


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


def count_tokens_of(boundary: str, usage: Usage | None) -> None:
    """Count a call that said its tokens."""
    meter = _meter.get()
    if meter is not None and usage is not None:
        meter.add_usage(boundary, usage)
