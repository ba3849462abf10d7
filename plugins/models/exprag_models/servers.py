"""Several servers of one model: they take turns, and one that is down is left out for a while."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Iterator

REST = 30.0
"""Seconds for which a server that could not be reached is left out."""


class Servers:
    """Base URLs, used in turn by all threads."""

    def __init__(self, urls: list[str]) -> None:
        self._bases = [url.rstrip("/") for url in urls]
        self._down_until = dict.fromkeys(self._bases, 0.0)
        self._turns = itertools.count()
        self._lock = threading.Lock()

    def addresses(self, url: str) -> Iterator[tuple[str, str]]:
        """(base, the URL below it) of each server to try for one request below any of them, one after another: those that are
        up first, then those that were down."""
        with self._lock:
            start = next(self._turns)
        end = url.removeprefix(max((base for base in self._bases if url.startswith(base)), key=len, default=""))
        moment = time.monotonic()
        bases = [self._bases[(start + place) % len(self._bases)] for place in range(len(self._bases))]
        for base in sorted(bases, key=lambda each: self._down_until[each] > moment):
            yield base, base + end

    def failed(self, base: str) -> None:
        """Take note that one could not be reached."""
        self._down_until[base] = time.monotonic() + REST
