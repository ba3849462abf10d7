"""The progress bar of episodes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from exprag.runs.engine import Progress
from exprag.trajectory import Trajectory


@contextmanager
def episodes_bar(name: str) -> Iterator[Progress]:
    """A bar over episodes with the success rate of those played in this call."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
    )
    with Bar(*columns) as bar:
        shown = bar.add_task(name, total=None, note="starting", visible=False)  # an early error shows no bar
        played = won = 0

        def update(done: int, total: int, trajectory: Trajectory | None) -> None:
            nonlocal played, won
            if trajectory is not None:
                played += 1
                won += bool(trajectory.success)
            note = f"{won}/{played} successful" if played else "starting" if done < total else "nothing left to do"
            bar.update(shown, completed=done, total=total, note=note, visible=True)

        yield update
