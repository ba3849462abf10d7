"""Environments for tests of workers: they hang, ignore being asked to end or exit, and say when they stand there."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from exprag.contracts.environment import Info
from exprag.trajectory import Step, Task
from exprag_styles.act import Act
from toy import Toy

Answer = tuple[str, float, bool, bool, Info]


class Stuck(Toy):
    """In the task `task`: does `what` at its first step, after it wrote its process id into `sign`. With `once`, only where the
    sign does not lie yet."""

    def __init__(self, what: str, task: str = "test/1", sign: str = "", once: bool = False, **options: Any) -> None:
        super().__init__(**options)
        self._what, self._where, self._sign, self._once = what, task, sign, once

    def step(self, action: str) -> Answer:
        if self._task is None or self._task.id != self._where or (self._once and Path(self._sign).exists()):
            return super().step(action)
        if self._sign:
            beside = Path(f"{self._sign}.partial")
            beside.write_text(str(os.getpid()))
            beside.replace(self._sign)
        if self._what == "hang":
            time.sleep(3600)
        if self._what == "cling":
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            time.sleep(3600)
        if self._what == "interrupt":
            raise KeyboardInterrupt
        raise SystemExit(self._what)


class NeverMade(Toy):
    """A toy that is made in the process that starts the run, and in no worker."""

    def __init__(self, how: str, starter: int, **options: Any) -> None:
        super().__init__(**options)
        if os.getpid() != starter:
            if how == "exits":
                os._exit(7)
            if how == "hangs":
                time.sleep(3600)
            raise KeyboardInterrupt


class Tree(Toy):
    """Starts a process that ignores being asked to end, says so in `sign`, and holds the interpreter: no thread of it runs on."""

    def __init__(self, sign: str, **options: Any) -> None:
        super().__init__(**options)
        self._sign = sign

    def step(self, action: str) -> Answer:
        code = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(1, flush=True); time.sleep(3600)"
        child = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
        assert child.stdout is not None
        child.stdout.readline()
        beside = Path(f"{self._sign}.partial")
        beside.write_text(f"{os.getpid()} {child.pid}")
        beside.replace(self._sign)
        re.match(r"(a+)+$", "a" * 60 + "b")
        return super().step(action)


class Broken(Toy):
    """Raises in every task but the first, unless the file `mended` lies."""

    def __init__(self, mended: str, **options: Any) -> None:
        super().__init__(**options)
        self._mended = mended

    def step(self, action: str) -> Answer:
        assert self._task is not None
        if self._task.id != "test/0" and not Path(self._mended).exists():
            raise ValueError("it is broken")
        return super().step(action)


class Interrupting(Act):
    """A style that raises KeyboardInterrupt in the second task."""

    def write_episode(self, task: Task, steps: Sequence[Step]) -> list[str]:
        if task.id == "test/1":
            raise KeyboardInterrupt
        return super().write_episode(task, steps)


class Sleeping(Act):
    """A style that never comes to an end in the second task."""

    def write_episode(self, task: Task, steps: Sequence[Step]) -> list[str]:
        if task.id == "test/1":
            time.sleep(3600)
        return super().write_episode(task, steps)
