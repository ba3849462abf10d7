"""Thirty plugins that break their contract: the run ends with every task played or a clear error, and leaves nothing running."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

from exprag.runs import RunDirectory
from tests.soak import bad_plugins
from tests.soak.commands import Command
from tests.soak.kills import GATE, Ground
from tests.soak.outcome import judge_family
from tests.soak.table import Row

LIMIT = 3


def rows(folder: Path, times: int, choose: Callable[[str], bool]) -> Iterator[Row]:
    """One row for each kind of plugin. Each plugin is played once, whatever `times` says."""
    ground = Ground(folder)
    for kind, names in bad_plugins.NAMES.items():
        row = Row(f"hostile plugins: {kind}")
        if choose(row.attack):
            for name in names:
                _play(row, kind, name, ground)
            yield row


def _play(row: Row, kind: str, name: str, ground: Ground) -> None:
    out = ground.folder / "hostile"
    shutil.rmtree(out, ignore_errors=True)
    limits = ["--limit", LIMIT, "--max-steps", 3, "--step-timeout", 3, "--episode-timeout", 10, "--setup-timeout", 30]
    command = ["run", *limits, "--workers", 1, "--out", out]
    if kind == "environment":
        command += ["--env", f"soak.bad_plugins:{name}"]
    else:
        command += ["--env", GATE, f"--{kind}", f"soak.bad_plugins:{name}", "--bank", ground.bank(), "--key-strategy", "task"]
    row.tried += 1
    child = Command(command)
    ended = child.wait()
    if ended.code is None:
        row.stuck += 1
        row.notes.append(f"{name}: it did not end")
    if ended.unexpected:
        row.unexpected += 1
        row.notes.append(f"{name}: {ended.output[-400:]}")
    if ended.code == 0 and len(RunDirectory(out).episodes()) != LIMIT:
        row.lost += 1
        row.notes.append(f"{name}: exit code 0 with {len(RunDirectory(out).episodes())} of {LIMIT} episodes")
    for episode in RunDirectory(out).episodes() if out.exists() else ():
        if episode.ended == "error" and ended.code == 0:
            row.lost += 1
            row.notes.append(f"{name}: exit code 0 though {episode.task.id} ended in an error")
    judge_family(row, child, name)
