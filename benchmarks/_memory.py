"""Resident memory of processes, for the benchmarks that watch a run."""

from __future__ import annotations

from collections.abc import Iterable

import psutil


def mebibytes(processes: Iterable[psutil.Process]) -> float:
    """Of all of them together; one that has ended meanwhile counts as nothing."""
    return sum(map(_resident, processes)) / 2**20


def _resident(process: psutil.Process) -> int:
    try:
        return int(process.memory_info().rss)
    except psutil.Error:
        return 0
