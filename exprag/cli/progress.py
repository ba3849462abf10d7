"""Progress bars: one that appears late, that of episodes, and that of a bank that embeds."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from exprag.cli.output import console, say
from exprag.cli.standing import Standing
from exprag.runs.directory import RunDirectory
from exprag.runs.episode_index import entry_of
from exprag.runs.totals import Totals
from exprag.text import printable
from exprag.trajectory import Trajectory, now

EVERY = 30.0
"""Seconds between two lines of progress in a log."""

if TYPE_CHECKING:
    from exprag.bank import Bank
    from exprag.runs.engine import Progress


class LateBar(Bar):
    """A progress bar that appears with its first update, so that an error before it leaves no trace of a bar."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.live.is_started:
            self.stop()

    def update(self, task_id: TaskID, **changes: Any) -> None:
        self.start()
        super().update(task_id, **changes)


@contextmanager
def episodes_progress(out: Path, *, plain: bool = False) -> Iterator[Progress]:
    """Progress of the run in the directory `out`, its earlier episodes included: a bar, or lines where `plain` or no terminal."""
    if plain or not console().is_terminal:
        yield _Lines(out).update
        return
    with episodes_bar(out.name, out) as update:
        yield update


@contextmanager
def episodes_bar(name: str, out: Path | None = None) -> Iterator[Progress]:
    """A bar over episodes that says how the run stands; with the earlier episodes of the directory `out`, if one is given."""
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=20),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[note]}", markup=False),
    )
    with LateBar(*columns, console=console()) as bar:
        task = bar.add_task(printable(name), total=None, note="starting")
        count = _Count(out)

        def update(done: int, total: int, trajectory: Trajectory | None) -> None:
            standing = count.add(done, total, trajectory)
            note = standing.text() or ("starting" if done < total else "")
            if trajectory is None and done >= total:
                note = ", ".join(part for part in ("nothing left to do", note) if part)
            bar.update(task, completed=done, total=total, note=note)

        yield update


class _Count:
    """Adds up the episodes that are told of, on top of those of the run directory."""

    def __init__(self, out: Path | None) -> None:
        self._out = out
        self._whole, self._recent = Totals(), Totals()
        self._began = time.monotonic()

    def add(self, done: int, total: int, trajectory: Trajectory | None) -> Standing:
        if trajectory is None:
            self._began = time.monotonic()
            if self._out is not None:
                self._whole = Totals.of(RunDirectory(self._out).entries())
        else:
            entry = entry_of(trajectory)
            self._whole.add(entry)
            self._recent.add(entry)
        return Standing(done, total, self._whole, self._recent, time.monotonic() - self._began)


class _Lines:
    """Progress as lines on stderr, for logs: one every `EVERY` seconds, and one at the end."""

    def __init__(self, out: Path) -> None:
        self._name, self._count = out.name, _Count(out)
        self._last = time.monotonic()

    def update(self, done: int, total: int, trajectory: Trajectory | None) -> None:
        standing = self._count.add(done, total, trajectory)
        if trajectory is not None and (done == total or time.monotonic() - self._last >= EVERY):
            self._last = time.monotonic()
            say(f"{now()} {self._name}: {done}/{total} episodes, {standing.text()}", stderr=True)


@contextmanager
def embedding_bar(bank: Bank, total: int | None = None) -> Iterator[None]:
    """A progress bar over trajectories while a bank with vectors embeds them; nothing for a lexical bank."""
    if not bank.dimension:
        yield
        return
    columns = (TextColumn("embedding"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    with Bar(*columns, console=console(), transient=True) as bar:
        task = bar.add_task("embedding", total=total)
        bank.progress = lambda done: bar.update(task, completed=done)
        try:
            yield
        finally:
            bank.progress = None
