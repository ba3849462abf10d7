"""Run a plugin's code while it is looked up: it may print, exit or raise what it likes, and nothing else is disturbed."""

from __future__ import annotations

import contextlib
import signal
import sys
import threading
from collections.abc import Iterator
from types import FrameType

from exprag.errors import ExpragError, describe

FAULTS = (Exception, SystemExit, KeyboardInterrupt, GeneratorExit)
"""What a plugin may raise while it is loaded. A user's Ctrl-C is never among them, see `quiet`."""


class _CtrlC(BaseException):
    """The user pressed Ctrl-C: not to be taken for a KeyboardInterrupt that a plugin raises."""


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """What is printed inside goes to stderr, so that stdout holds results alone; a Ctrl-C is not caught by `except FAULTS`."""
    with contextlib.redirect_stdout(sys.stderr), _watched():
        yield


@contextlib.contextmanager
def _watched() -> Iterator[None]:
    """Python's own handler of Ctrl-C is replaced inside; one that somebody has set stays."""
    usual = signal.default_int_handler
    if threading.current_thread() is not threading.main_thread() or signal.getsignal(signal.SIGINT) is not usual:
        yield
        return

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise _CtrlC

    signal.signal(signal.SIGINT, interrupt)
    try:
        yield
    except _CtrlC:
        raise KeyboardInterrupt from None
    finally:
        if signal.getsignal(signal.SIGINT) is interrupt:
            signal.signal(signal.SIGINT, usual)


def reason(error: BaseException) -> str:
    """What was raised, in one line, whatever its own text does."""
    try:
        return str(error) if isinstance(error, ExpragError) else describe(error).removesuffix(".")
    except Exception:  # noqa: BLE001 - an exception whose text cannot be made
        return type(error).__name__
