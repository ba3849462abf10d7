"""How hard a server is pressed: fewer calls at once when it says that there are too many, more again when it answers.

A server that answers 429 (or is overloaded) is left in peace for as long as its Retry-After says, and asked again. The calls at
once are halved, once for all that were on their way together, and grow by one with each round of answers: additive increase,
multiplicative decrease, as TCP shares a line (Chiu and Jain 1989). All threads of a process that call one model share this.
"""

from __future__ import annotations

import random
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, TypeVar

T = TypeVar("T")
TRIES = 8
"""How often a call that is refused for being one too many is made, at most."""
FIRST_WAIT, LONGEST_WAIT = 1.0, 120.0  # seconds before a call is made again; doubled each time


class Pressure:
    """The calls of one model: how many are made at once, and from when on.

    limit     calls at once that the server bears; infinite until it refuses one
    seconds   what one call may take where the model has no timeout of its own; None: any time
    refusals  how many calls were refused
    """

    def __init__(self) -> None:
        self.limit = float("inf")
        self.seconds: float | None = None
        self.refusals = 0
        self._calls = 0
        self._lowered = self._resume = 0.0
        self._free = threading.Condition()

    def call(self, make: Callable[[], T], tries: int = TRIES) -> T:
        """What `make` gives, which is called again where the server refuses it, this many times at most."""
        for number in range(1, tries + 1):
            with self._slot() as began:
                try:
                    result = make()
                except Exception as error:
                    seconds = _refusal(error)
                    if seconds is None or number == tries:
                        raise
                    self._refused(began, seconds)
                else:
                    self._answered()
                    return result
            wait = seconds or FIRST_WAIT * 2 ** (number - 1) * random.uniform(0.5, 1)
            time.sleep(min(wait, LONGEST_WAIT) * random.uniform(1, 1.1))  # not all at the same moment
        raise AssertionError("unreachable")

    @contextmanager
    def _slot(self) -> Iterator[float]:
        """One of the calls at once; gives the moment at which it began."""
        with self._free:
            while self._calls >= max(1.0, self.limit) or time.monotonic() < self._resume:
                left = self._resume - time.monotonic()
                self._free.wait(left if left > 0 else None)
            self._calls += 1
        try:
            yield time.monotonic()
        finally:
            with self._free:
                self._calls -= 1
                self._free.notify_all()

    def _refused(self, began: float, seconds: float) -> None:
        with self._free:
            self.refusals += 1
            self._resume = max(self._resume, time.monotonic() + min(seconds, LONGEST_WAIT))
            if began >= self._lowered:  # those that were on their way before say nothing of the new limit
                self.limit = max(1.0, min(self.limit, self._calls) // 2)
                self._lowered = time.monotonic()

    def _answered(self) -> None:
        with self._free:
            self.limit += 1 / self.limit


def _refusal(error: BaseException) -> float | None:
    """For how many seconds a server wants to be left in peace, which refused a call; 0 where it does not say; None where the
    error is of another kind."""
    chain: list[BaseException] = [error]
    while (cause := chain[-1].__cause__ or chain[-1].__context__) is not None and cause not in chain:
        chain.append(cause)
    for each in chain:
        response = getattr(each, "response", None)
        statuses = (getattr(each, "status_code", None), getattr(response, "status_code", None), getattr(each, "code", None))
        if "insufficient_quota" in statuses:  # OpenAI's word for an empty account, to which waiting adds nothing
            return None
        seconds = retry_after(getattr(response, "headers", None) or {})
        if 429 in statuses or 529 in statuses or (503 in statuses and seconds):
            return seconds
    return None


def retry_after(headers: Any) -> float:
    """The seconds of a Retry-After, written as a number or as a date; 0 where there is none that can be read."""
    text = str(headers.get("retry-after") or headers.get("Retry-After") or "")
    try:
        return max(0.0, float(text))
    except ValueError:
        pass
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return 0.0
    return max(0.0, (moment - datetime.now(UTC if moment.tzinfo else None)).total_seconds())


_pressures: dict[int, Pressure] = {}
_lock = threading.Lock()


def pressure_on(model: Any) -> Pressure:
    """The one of a model object, which goes with it."""
    with _lock:
        if id(model) not in _pressures:
            _pressures[id(model)] = Pressure()
            weakref.finalize(model, _pressures.pop, id(model), None)
        return _pressures[id(model)]
