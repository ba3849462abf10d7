"""The parent's end of worker processes: started, asked, watched by the clock, ended with all that they started."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from exprag import errors
from exprag.errors import ExpragError, RunError
from exprag.runs.config import RunConfig
from exprag.trajectory import Task

HERE = Path(__file__).resolve().parent
GRACE_SECONDS = 1.0
"""What a process gets between being asked to end and being killed."""
LEAVING_SECONDS = 5.0
"""What a process gets to close its environment, and to run what is registered to run at its exit, when the run is over."""
_POSIX = hasattr(os, "killpg")

WORDS = ("ready", "call", "episode", "stop")
"""What a worker says (`exprag.runs.worker`)."""
Event = tuple["WorkerProcess", str, Any]
"""A worker, what it says and its JSON; "gone" where its process ended."""


class Keeper:
    """The process that kills what is left of the workers when this process is killed (`exprag.runs.keeper`)."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None
        if _POSIX:
            command = [sys.executable, "-I", "-S", str(HERE / "keeper.py")]
            nothing = subprocess.DEVNULL
            with _without_ctrl_c():
                self._process = subprocess.Popen(
                    command, stdin=subprocess.PIPE, stdout=nothing, stderr=nothing, text=True, start_new_session=True
                )

    def note(self, sign: str, group: int) -> None:
        """Say that a group begins ("+") or has ended ("-")."""
        if self._process is not None and self._process.stdin is not None:
            with contextlib.suppress(OSError):
                self._process.stdin.write(f"{sign}{group}\n")
                self._process.stdin.flush()

    def close(self) -> None:
        if self._process is not None and self._process.stdin is not None:
            with contextlib.suppress(OSError):
                self._process.stdin.close()
            self._process.wait()


class WorkerProcess:
    """One worker process, in a process group of its own: a Ctrl-C at the terminal is not sent to it. What it says is put into
    `events`."""

    def __init__(self, config: RunConfig, folder: Path | None, events: SimpleQueue[Event], keeper: Keeper) -> None:
        self._config, self._events, self._keeper = config, events, keeper
        self.task: Task | None = None
        self.ready = False
        self.played = 0
        self._episode_began = self._call_began = 0.0
        self._call = ""
        self._gone = threading.Event()
        self._ended = False
        command = [sys.executable, "-P", str(HERE / "worker.py")]
        with _without_ctrl_c():
            self._process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, process_group=0 if _POSIX else None
            )
        keeper.note("+", self._process.pid)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        values = config.model_dump(mode="json")
        main = getattr(sys.modules["__main__"], "__file__", None) if "__main__:" in json.dumps(values) else None
        self._send("setup", {"config": values, "folder": folder and str(folder), "path": sys.path, "main": main})

    def play(self, task: Task) -> None:
        """Start a task."""
        self.task = task
        self._episode_began, self._call = time.monotonic(), ""
        self._send("play", task.to_dict())

    def leave(self) -> None:
        """Ask it to close its environment and end, when it has nothing to do."""
        self._send("leave", None)

    def hear(self, word: str, value: Any) -> None:
        """Take note of what it said."""
        if word == "ready":
            self.ready = True
            self._episode_began = time.monotonic()
        elif word == "call":
            self._call, self._call_began = value, time.monotonic()
        elif word == "episode":
            self.task = None
            self.played += 1

    def seconds_left(self) -> float | None:
        """Until the task that it plays takes too long, or the process to be ready for its first; None where there is no limit."""
        if self.task is None:
            return None
        config, ends = self._config, []
        if not self.ready:
            return None if config.setup_timeout is None else self._episode_began + config.setup_timeout - time.monotonic()
        if config.step_timeout is not None and self._call:
            ends.append(self._call_began + config.step_timeout)
        if config.episode_timeout is not None:
            ends.append(self._episode_began + config.episode_timeout)
        return min(ends) - time.monotonic() if ends else None

    def overdue(self) -> str:
        """Which limit its task has passed, in words; "" for none."""
        left = self.seconds_left()
        if left is None or left > 0:
            return ""
        config = self._config
        if not self.ready:
            return f"A worker was not ready for its first episode after {config.setup_timeout:g} s (setup_timeout)."
        if self._call and config.step_timeout is not None and time.monotonic() - self._call_began >= config.step_timeout:
            return f"The environment's {self._call!r} took longer than {config.step_timeout:g} s (step_timeout)"
        return f"The episode took longer than {config.episode_timeout:g} s (episode_timeout)"

    def _send(self, word: str, value: Any) -> None:
        stdin = self._process.stdin
        assert stdin is not None
        with contextlib.suppress(OSError, ValueError):  # it is gone, which its reader says
            stdin.write(f"{word} {json.dumps(value)}\n".encode("ascii"))
            stdin.flush()

    def _read(self) -> None:
        assert self._process.stdout is not None
        with contextlib.suppress(OSError, ValueError):
            for line in self._process.stdout:
                word, _, text = line.decode("ascii", "replace").partition(" ")
                if word in WORDS and line.endswith(b"\n"):  # else a kill tore it, or `sitecustomize` printed it
                    self._events.put((self, word, json.loads(text)))
        self._gone.set()
        self._events.put((self, "gone", None))

    def _signal(self, number: int) -> None:
        with contextlib.suppress(OSError):
            os.killpg(self._process.pid, number) if _POSIX else self._process.terminate()

    @staticmethod
    def end(processes: Iterable[WorkerProcess], seconds: float = GRACE_SECONDS, *, ask: bool = True) -> None:
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
    """The error that a worker told."""
    kind = getattr(errors, about["type"], None)
    is_ours = isinstance(kind, type) and issubclass(kind, ExpragError)
    return (kind if is_ours else RunError)(about["message"], cure=about["cure"])  # type: ignore[misc]
