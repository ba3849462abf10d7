"""Environments for tests of workers: they hang, ignore being asked to end or exit, and say when they stand there."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any

from exprag.contracts.environment import Info
from toy import Toy

Answer = tuple[str, float, bool, bool, Info]


class Stuck(Toy):
    """In the task `task`: does `what` at its first step, after it wrote its process id into `sign`."""

    def __init__(self, what: str, task: str = "test/1", sign: str = "", **options: Any) -> None:
        super().__init__(**options)
        self._what, self._where, self._sign = what, task, sign

    def step(self, action: str) -> Answer:
        if self._task is None or self._task.id != self._where:
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
