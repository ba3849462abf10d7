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
"""What a plugin may raise while it is loaded. A user's Ctrl-C is never among them, see `watch_ctrl_c`."""


class _CtrlC(BaseException):
    """The user pressed Ctrl-C: not to be taken for a KeyboardInterrupt that a plugin raises."""


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """What is printed inside goes to stderr, so that stdout holds results alone; Ctrl-C as in `watch_ctrl_c`."""
    with contextlib.redirect_stdout(sys.stderr), watch_ctrl_c():
        yield


@contextlib.contextmanager
def watch_ctrl_c() -> Iterator[None]:
    """Inside, a KeyboardInterrupt is one that the code raised itself: the user's Ctrl-C passes `except FAULTS`, and is raised as
    KeyboardInterrupt at the end. Only Python's own handler is replaced; one that somebody has set stays."""
    usual = signal.default_int_handler
    if threading.current_thread() is not threading.main_thread() or signal.getsignal(signal.SIGINT) is not usual:
        yield
        return

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise _CtrlC

    interrupt.apart = True  # type: ignore[attr-defined]
    signal.signal(signal.SIGINT, interrupt)
    try:
        yield
    except _CtrlC:
        raise KeyboardInterrupt from None
    finally:
        if signal.getsignal(signal.SIGINT) is interrupt:
            signal.signal(signal.SIGINT, usual)


def ctrl_c_is_apart() -> bool:
    """Whether a KeyboardInterrupt that is raised here can only be the code's own: inside `watch_ctrl_c`, outside the main thread,
    and in processes that ignore the signal."""
    if threading.current_thread() is not threading.main_thread():
        return True
    handler = signal.getsignal(signal.SIGINT)
    return handler is signal.SIG_IGN or getattr(handler, "apart", False)


def reason(error: BaseException) -> str:
    """What was raised, in one line, whatever its own text does."""
    try:
        return str(error) if isinstance(error, ExpragError) else describe(error).removesuffix(".")
    except Exception:  # noqa: BLE001 - an exception whose text cannot be made
        return type(error).__name__
