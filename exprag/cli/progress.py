"""The progress bar of episodes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from exprag.cli.output import console
from exprag.runs.engine import Progress
from exprag.text import printable
from exprag.trajectory import Trajectory


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
    with Bar(*columns, console=console()) as bar:
        task = bar.add_task(printable(name), total=None, note="starting", visible=False)  # an early error shows no bar
        played = won = 0

        def update(done: int, total: int, trajectory: Trajectory | None) -> None:
            nonlocal played, won
            if trajectory is not None:
                played += 1
                won += bool(trajectory.success)
            note = f"{won}/{played} successful" if played else "starting" if done < total else "nothing left to do"
            bar.update(task, completed=done, total=total, note=note, visible=True)

        yield update
