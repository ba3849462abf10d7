"""How much work a piece of code does, in function calls: the same on any machine, however busy."""

from __future__ import annotations

import cProfile
import pstats
from collections.abc import Callable
from typing import Any


def count_calls(work: Callable[..., Any], *arguments: Any) -> int:
    """Function calls of `work(*arguments)` in this thread."""
    profile = cProfile.Profile()
    profile.runcall(work, *arguments)
    return int(pstats.Stats(profile).total_calls)  # type: ignore[attr-defined]
