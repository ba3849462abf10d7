"""Progress bars: one that appears late, that of episodes, and that of a bank that embeds."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Self

from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from exprag.cli.output import console
from exprag.text import printable
from exprag.trajectory import Trajectory

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
def episodes_bar(name: str) -> Iterator[Progress]:
    """A bar over episodes with the success rate of those played in this call."""
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}", markup=False),
    )
    with LateBar(*columns, console=console()) as bar:
        task = bar.add_task(printable(name), total=None, note="starting")
        played = won = 0

        def update(done: int, total: int, trajectory: Trajectory | None) -> None:
            nonlocal played, won
            if trajectory is not None:
                played += 1
                won += bool(trajectory.success)
            note = f"{won}/{played} successful" if played else "starting" if done < total else "nothing left to do"
            bar.update(task, completed=done, total=total, note=note)

        yield update


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
