"""How much memory a process and all that it started hold, and a watch that ends them at a limit.

Resident memory is looked at twice a second: `resource.setrlimit` limits addresses, of which a JVM and torch reserve many times
what they use. Read from /proc, that takes 0.05 ms a worker; psutil goes through all processes of the machine to find the children
of one, which took 1.5 ms among a hundred, and would take a core on a node of thousands.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from exprag.errors import ConfigError

GIGABYTE = 10**9
EVERY_SECONDS = 0.5
_PROC = Path("/proc")


def resident(pid: int) -> int:
    """Bytes of resident memory of a process and its descendants; what they share is counted for each. 0 where it is gone."""
    total, left = 0, [pid]
    while left:
        current = left.pop()
        with suppress(OSError, ValueError, IndexError):  # it has ended meanwhile
            total += int((_PROC / str(current) / "statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
            for thread in os.listdir(_PROC / str(current) / "task"):
                with suppress(OSError):
                    left += map(int, (_PROC / str(current) / "task" / thread / "children").read_text().split())
    return total


def check_measurable() -> None:
    """Raises ConfigError where memory cannot be measured."""
    if not resident(os.getpid()):
        raise ConfigError("worker_memory needs a system with /proc, as Linux has.", cure="Leave it out.")


def watch_memory(pid: int, gigabytes: float, over: threading.Event, end: Callable[[str], None]) -> None:
    """Have `end` called once, with what was the matter in words, when the process holds more; until `over` is set."""

    def look() -> None:
        while not over.wait(EVERY_SECONDS):
            size = resident(pid) / GIGABYTE
            if size > gigabytes:
                end(f"It held {size:.2f} GB of memory, more than {gigabytes:g} GB (worker_memory)")
                return

    threading.Thread(target=look, daemon=True, name=f"exprag-memory-{pid}").start()
