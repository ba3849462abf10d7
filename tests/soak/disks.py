"""A small disk that is full: at every size from nothing on, the command says so, and goes on when there is room."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.soak.commands import call
from tests.soak.kills import Ground
from tests.soak.outcome import judge_bank, judge_command, judge_run, whole_lines
from tests.soak.table import Row

SIZES = {"run": range(4, 48, 4), "learn": range(16, 1024, 96), "collect": range(16, 512, 48)}
"""Kilobytes of the disk at which each kind is tried: a write fails at each of them, a later one the larger it is."""
ROOM = "64m"


def rows(folder: Path, times: int, choose: Callable[[str], bool]) -> Iterator[Row]:
    """One row for each kind of command; `times` says how many sizes are tried, at most."""
    ground = Ground(folder)
    for kind, sizes in SIZES.items():
        row = Row(f"a full disk: {kind}")
        if not choose(row.attack):
            continue
        if not can_mount(folder):
            row.notes.append("not tried: mounting a small disk needs root, on Linux")
            yield row
            continue
        step = max(1, len(sizes) // times)
        for size in sizes[::step]:
            _fill(row, kind, ground, size)
        yield row


def can_mount(folder: Path) -> bool:
    """Whether a tmpfs can be mounted here."""
    if sys.platform != "linux" or os.geteuid() != 0:
        return False
    try:
        with _disk(folder / "probe", "64k"):
            return True
    except (OSError, subprocess.CalledProcessError):
        return False


def _fill(row: Row, kind: str, ground: Ground, size: int) -> None:
    undisturbed = ground.undisturbed(kind)
    disk = ground.folder / "disk"
    what = f"{size} KB"
    with _disk(disk, f"{size}k"):
        place = disk / "here"
        command = ground.command(kind, place, "")
        row.tried += 1
        full = call(command)
        judge_command(row, full, f"{what}, full", codes=(0, 1))
        if full.code == 1 and not any(word in full.output for word in ("No space left", "disk is full", "Free space")):
            row.unexpected += 1
            row.notes.append(f"{what}: it does not say that the disk is full: {full.output[-300:]}")
        before = whole_lines(place)
        subprocess.run(["mount", "-o", f"remount,size={ROOM}", str(disk)], check=True)
        judge_command(row, call(command), f"{what}, with room")
        if kind == "collect":
            judge_bank(row, place, undisturbed, what)
        else:
            judge_run(row, place, undisturbed, before, what)


@contextmanager
def _disk(place: Path, size: str) -> Iterator[None]:
    place.mkdir(exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "none", str(place)], check=True, capture_output=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)
