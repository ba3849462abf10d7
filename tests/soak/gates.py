"""Environments for the soak: a toy whose episodes can be held at a point."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from exprag.contracts.environment import Info
from toy import Toy

Answer = tuple[str, float, bool, bool, Info]


class Gate(Toy):
    """A toy that writes the file SIGN and waits until it is gone, in the reset or first step of a task.

    `at` is "reset" or "step", `task` the id; `ignores` signals that it ignores there. Without `sign`, or where the file
    SIGN.open lies, it is the plain toy.
    """

    def __init__(self, sign: str = "", at: str = "step", task: str = "test/2", ignores: str = "", **options: Any) -> None:
        super().__init__(**options)
        self._sign, self._at, self._where, self._ignores = sign, at, task, ignores

    def reset(self, *, seed: int | None = None, options: Mapping[str, Any] | None = None) -> tuple[str, Info]:
        answer = super().reset(seed=seed, options=options)
        self._hold("reset")
        return answer

    def step(self, action: str) -> Answer:
        self._hold("step")
        return super().step(action)

    def _hold(self, at: str) -> None:
        held = self._sign and at == self._at and self._task is not None and self._task.id == self._where
        if not held or Path(f"{self._sign}.open").exists():
            return
        if self._ignores:
            signal.signal(getattr(signal, self._ignores), signal.SIG_IGN)
        sign, beside = Path(self._sign), Path(f"{self._sign}.beside")
        beside.write_text(str(os.getpid()))
        beside.replace(sign)
        while sign.exists():
            time.sleep(0.01)

