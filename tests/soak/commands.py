"""Commands in processes of their own: started, held at a named moment, killed, counted.

`python -m tests.soak.commands MOMENT ARGUMENT…` is the `exprag` command that stops at a moment. A moment is "-" (never), or
"before module:name" or "after module:name", with "#2" at its end for the second time that it is reached. The process then prints
"here" on stdout and waits for a line on stdin.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

MARK = "EXPRAG_SOAK"
"""The environment variable that all processes of a command inherit, with its mark."""
COMMAND = "EXPRAG_SOAK_COMMAND"
"""The environment variable with the process id of the command itself."""
ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 180.0
"""Seconds after which a command counts as stuck; a busy machine needs some, and no command of the soak takes that long."""


@dataclass(frozen=True)
class Ended:
    """How a command ended. `code` is None where it did not."""

    code: int | None
    output: str

    @property
    def unexpected(self) -> bool:
        return "unexpected: " in self.output or "Traceback (most recent call last)" in self.output


class Command:
    """A command in a process group of its own, with all that it prints."""

    def __init__(self, arguments: Sequence[object], moment: str = "-") -> None:
        command = [sys.executable, "-m", "tests.soak.commands", moment, *map(str, arguments)]
        path = os.pathsep.join([str(ROOT), str(ROOT / "tests")])
        self._mark = uuid.uuid4().hex
        environment = os.environ | {"PYTHONPATH": path, "COLUMNS": "200", MARK: self._mark}
        self.process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
        )
        self._lines: list[str] = []
        self._here = threading.Event()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if line == "here\n":
                self._here.set()
            else:
                self._lines.append(line)

    def stands(self, sign: Path | None = None) -> bool:
        """Wait until it stands at its moment, or until the file `sign` is there; False where it ends before."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            if self._here.is_set() or (sign is not None and sign.exists()):
                return True
            if self.process.poll() is not None:
                self._reader.join(1)
                return self._here.is_set()
            time.sleep(0.01)
        return False

    def go_on(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    def family(self) -> list[psutil.Process]:
        """The processes that it has started, and theirs, as far as they live: all that inherited its mark."""
        members = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error, OSError):
                if process.pid != self.process.pid and process.environ().get(MARK) == self._mark:
                    members.append(process)
        return members

    def kill(self, how: int) -> None:
        """Send the signal to the command alone."""
        self.process.send_signal(how)

    def wait(self, patience: float = PATIENCE) -> Ended:
        """Wait for its end; what does not end is killed, with all of its processes, and counts as stuck."""
        code: int | None
        try:
            code = self.process.wait(patience)
        except subprocess.TimeoutExpired:
            code = None
            for process in [*self.family(), psutil.Process(self.process.pid)]:
                with contextlib.suppress(psutil.Error):
                    process.kill()
        self._reader.join(5)
        return Ended(code, "".join(self._lines))


def call(arguments: Sequence[object]) -> Ended:
    """Run a command to its end."""
    return Command(arguments).wait()


def survivors(command: Command, patience: float = 20.0) -> list[str]:
    """The command lines of what a command started and what lives on after some patience; they are killed then."""
    deadline = time.monotonic() + patience
    while (alive := [process for process in command.family() if _lives(process)]) and time.monotonic() < deadline:
        time.sleep(0.05)
    lines = []
    for process in alive:
        with contextlib.suppress(psutil.Error):
            lines.append(f"{process.pid}: {' '.join(process.cmdline())[-80:]}")
            process.kill()
    return lines


def _lives(process: psutil.Process) -> bool:
    with contextlib.suppress(psutil.Error):
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    return False


def stop_at(moment: str) -> None:
    """Have this process print "here" and wait, when it comes to the moment."""
    when, _, place = moment.partition(" ")
    place, _, number = place.partition("#")
    module, _, path = place.partition(":")
    owner: Any = importlib.import_module(module)
    *owners, name = path.split(".")
    for part in owners:
        owner = getattr(owner, part)
    function = getattr(owner, name)
    times = int(number or 1)

    def wait_here(*arguments: Any, **options: Any) -> Any:
        nonlocal times
        times -= 1
        is_it = times == 0  # kept, since the function may call itself
        if when == "before" and is_it:
            _wait()
        result = function(*arguments, **options)
        if when == "after" and is_it:
            _wait()
        return result

    setattr(owner, name, wait_here)


def _wait() -> None:
    print("here", flush=True)
    sys.stdin.readline()


def main() -> None:
    moment, *arguments = sys.argv[1:]
    os.environ[COMMAND] = str(os.getpid())
    from exprag.cli.main import main as exprag

    if moment != "-":
        stop_at(moment)
    exprag(arguments)


if __name__ == "__main__":
    main()
