"""The parent's end of a process that a run starts: lines to and from it, and its end with all that it started.

Parent and child talk in lines, a word and JSON; `exprag.runs.worker` is the child's end.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import Any

from exprag import errors
from exprag.errors import ExpragError, RunError
from exprag.runs.memory import watch_memory

HERE = Path(__file__).resolve().parent
GRACE_SECONDS = 1.0
"""What a process gets between being asked to end and being killed."""
LEAVING_SECONDS = 5.0
"""What a process gets to close its environment, and to run what is registered to run at its exit, when the run is over."""
_POSIX = hasattr(os, "killpg")


class Keeper:
    """The process that kills what is left of the children when this process is killed (`exprag.runs.keeper`)."""

    def __init__(self, *, detached: bool = False) -> None:
        """`detached`: it is no child of this process, for hosts that kill their children when they end, as Ray's do."""
        self._process: subprocess.Popen[str] | None = None
        if _POSIX:
            command = [sys.executable, "-I", "-S", str(HERE / "keeper.py"), *(["detached"] if detached else [])]
            nothing = subprocess.DEVNULL
            with _without_ctrl_c():
                self._process = subprocess.Popen(
                    command, stdin=subprocess.PIPE, stdout=nothing, stderr=nothing, text=True, start_new_session=True
                )

    def note(self, sign: str, group: int) -> None:
        """Say that a group begins ("+") or has ended ("-")."""
        if self._process is not None and self._process.stdin is not None:
            with contextlib.suppress(OSError, ValueError):
                self._process.stdin.write(f"{sign}{group}\n")
                self._process.stdin.flush()

    def close(self) -> None:
        if self._process is not None and self._process.stdin is not None:
            with contextlib.suppress(OSError):
                self._process.stdin.close()
            self._process.wait()


class ChildProcess:
    """A process that runs `exprag.runs.worker`, in a process group of its own: a Ctrl-C at the terminal is not sent to it.

    words    what it may say; other lines are passed over
    role     what it does, with the values of its setup: see `exprag.runs.worker`

    A subclass takes what it says in `receive`, which a thread calls; "gone" where the process ended.
    """

    def __init__(self, words: Collection[str], role: str, setup: dict[str, Any], keeper: Keeper) -> None:
        self._words, self._keeper = words, keeper
        self._gone = threading.Event()
        self._ended = False
        self.oversized = ""
        command = [sys.executable, "-P", str(HERE / "worker.py")]
        with _without_ctrl_c():
            self._process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, process_group=0 if _POSIX else None
            )
        keeper.note("+", self._process.pid)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        main = getattr(sys.modules["__main__"], "__file__", None) if "__main__:" in json.dumps(setup) else None
        self.send("setup", {"role": role, "path": sys.path, "main": main, **setup})

    def receive(self, word: str, value: Any) -> None:
        raise NotImplementedError

    def send(self, word: str, value: Any) -> None:
        stdin = self._process.stdin
        assert stdin is not None
        with contextlib.suppress(OSError, ValueError):  # it is gone, which its reader says
            stdin.write(f"{word} {json.dumps(value)}\n".encode("ascii"))
            stdin.flush()

    def limit_memory(self, gigabytes: float | None) -> None:
        """Kill it and all that it started when they hold more than this; `oversized` then says so in words. None: never."""
        if gigabytes is not None:
            watch_memory(self._process.pid, gigabytes, self._gone, self._end_oversized)

    def _end_oversized(self, why: str) -> None:
        if not self._ended:
            self.oversized = why
            self._signal(getattr(signal, "SIGKILL", signal.SIGTERM))

    def leave(self) -> None:
        """Ask it to close its environments and end, when it has nothing to do."""
        self.send("leave", None)

    def _read(self) -> None:
        assert self._process.stdout is not None
        with contextlib.suppress(OSError, ValueError):
            for line in self._process.stdout:
                word, _, text = line.decode("ascii", "replace").partition(" ")
                if word in self._words and line.endswith(b"\n"):  # else a kill tore it, or `sitecustomize` printed it
                    self.receive(word, json.loads(text))
        self._gone.set()
        self.receive("gone", None)

    def _signal(self, number: int) -> None:
        with contextlib.suppress(OSError):
            os.killpg(self._process.pid, number) if _POSIX else self._process.terminate()

    @staticmethod
    def end(processes: Iterable[ChildProcess], seconds: float = GRACE_SECONDS, *, ask: bool = True) -> None:
        """End them and all that they started: each is asked (unless it was) and killed after the seconds, together."""
        left = [process for process in processes if not process._ended]
        for process in left if ask else ():
            process._signal(signal.SIGTERM)
        deadline = time.monotonic() + seconds
        for process in left:
            process._gone.wait(max(0.0, deadline - time.monotonic()))
        for process in left:
            process._ended = True
            # the process is not waited for yet, so its number is still its own
            process._signal(getattr(signal, "SIGKILL", signal.SIGTERM))
            process._process.wait()
            process._keeper.note("-", process._process.pid)
            process._reader.join(1)
            for stream in (process._process.stdin, None if process._reader.is_alive() else process._process.stdout):
                if stream is not None:
                    with contextlib.suppress(OSError):
                        stream.close()


@contextlib.contextmanager
def _without_ctrl_c() -> Iterator[None]:
    """Processes that are started inside are born with Ctrl-C blocked; here it comes afterwards."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def rebuilt(about: dict[str, str]) -> ExpragError:
    """The error that a child told."""
    kind = getattr(errors, about["type"], None)
    is_ours = isinstance(kind, type) and issubclass(kind, ExpragError)
    return (kind if is_ours else RunError)(about["message"], cure=about["cure"])  # type: ignore[misc]
