"""Success and validation loss by epoch (ExpRAG, figures 3 and 4): checkpoints played on the tasks of their adapter's arm.

Epoch 0 is the arm without training, and the last epoch the arm with the finished adapter; the checkpoints between them are played
here, in OUT/adapters/KIND/training/rollouts/HALF/checkpoint-STEP. Of several seeds the first is played. Losses are those that
the training measured on the rows held out (`exprag.reproduce.rows`). Neither chooses an adapter: the tables are played on the
same tasks.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import product
from pathlib import Path

from exprag.errors import ExpragError
from exprag.evaluation.results import RunResult
from exprag.models.load import ModelSpec
from exprag.reproduce.filling import FilledTable, Row, cells_of
from exprag.reproduce.plan import Course, Plan, Table
from exprag.reproduce.training import finished_adapters
from exprag.runs.config import RunConfig
from exprag.runs.matrix import Cell
from exprag.trajectory import Trajectory

Progress = Callable[[str, int, int], None]
"""Called with the label of the adapter's arm, its episodes so far, and the number of all of them."""


def play_epochs(plan: Plan, out: str | Path, progress: Progress | None = None) -> list[str]:
    """Play the checkpoints that the figures of the plan need and that were not played, of adapters that are finished.

    Returns a sentence for each checkpoint that could not be played; it keeps no other from being played.
    """
    from exprag.training.sft.checkpoints import epoch_checkpoints
    from exprag.training.sft.rollouts import play_checkpoint

    place = Path(out).expanduser().resolve()
    adapters = finished_adapters(plan, place)
    options = dict(ModelSpec.parse(plan.model).options)
    problems = []
    for course in _courses(plan, adapters):
        sets = {cell.scope: _config(plan, cell, place) for cell in _cells(plan, course.arm)}
        between = [folder for folder in epoch_checkpoints(adapters[course.kind].parent) if folder != adapters[course.kind]]
        counter = _Counter(course.label, len(between), progress) if progress else None
        for checkpoint, (half, config) in product(between, sets.items()):
            try:
                play_checkpoint(checkpoint, {half: config}, model_options=options, progress=counter)
            except ExpragError as error:
                problems.append(f"{course.label}, {checkpoint.name}, {half} tasks: not played to the end. {error}")
    return problems


class _Counter:
    """Tells how many episodes of an adapter's checkpoints are played; each checkpoint plays the same tasks."""

    def __init__(self, label: str, checkpoints: int, progress: Progress) -> None:
        self._label, self._checkpoints, self._progress = label, checkpoints, progress
        self._sizes: dict[str, int] = {}
        self._counts: dict[str, int] = {}

    def __call__(self, name: str, count: int, total: int, trajectory: Trajectory | None) -> None:
        self._sizes[name.partition("/")[0]], self._counts[name] = total, count
        self._progress(self._label, sum(self._counts.values()), self._checkpoints * sum(self._sizes.values()))


def fill_epochs(plan: Plan, table: Table, runs: Sequence[RunResult], out: str | Path) -> FilledTable | None:
    """The table with a row for each epoch of each adapter; None where none of them was trained."""
    adapters = finished_adapters(plan, out)
    if not adapters:
        return None
    from exprag.models.cards import Card
    from exprag.training.sft.checkpoints import epoch_checkpoints
    from exprag.training.sft.curve import read_losses

    rows = []
    for course in _courses(plan, adapters):
        adapter = adapters[course.kind]
        points = {0.0: _played(plan, course.before, runs)}
        for checkpoint in epoch_checkpoints(adapter.parent):
            last = checkpoint == adapter
            points[Card.read(checkpoint).epoch] = _played(plan, course.arm, runs) if last else _rollouts(checkpoint)
        losses: dict[float, dict[str, float]] = {}
        for name, curve in read_losses(adapter.parent).items():
            for epoch, value in curve if name.startswith("validation") else ():
                losses.setdefault(epoch, {})[name.removeprefix("validation, ")] = value
        for epoch in sorted({*points, *losses}):
            cells = cells_of(points.get(epoch, {}), None)
            label = f"{course.label}, epoch {epoch:g}"
            rows.append(Row(label, cells, bool(cells), course.label, epoch, losses.get(epoch, {})))
    return FilledTable(table.name, table.title, table.source, "", tuple(rows))


def _courses(plan: Plan, adapters: dict[str, Path]) -> list[Course]:
    """The courses of the plan's tables whose adapters are finished."""
    return [course for table in plan.tables for course in table.courses if course.kind in adapters]


def _cells(plan: Plan, arm: str) -> list[Cell]:
    """The cells of an arm with the index that matches, of the first seed: one for each half of the tasks."""
    of_arm = [cell for cell in plan.matrix.cells if cell.arm == arm and cell.index_state in (None, "matched")]
    return [cell for cell in of_arm if cell.seed == of_arm[0].seed]


def _config(plan: Plan, cell: Cell, out: Path) -> RunConfig:
    """The run of a cell, with the bank that the matrix made; its name is left to the folder."""
    if not cell.expert_bank:
        return cell.config.changed(name="")
    bank, _, version = plan.bank_in(out)
    return cell.config.changed(name="", bank=str(bank), bank_version=version)


def _played(plan: Plan, arm: str, runs: Sequence[RunResult]) -> dict[str, list[Trajectory]]:
    """The episodes of the cells of an arm, by half."""
    episodes = {}
    for cell in _cells(plan, arm):
        of_cell = [run for run in runs if (run.arm, run.scope, run.index_state) == (arm, cell.scope, cell.index_state)]
        parts = [part for run in of_cell for part in run.parts if cell.seed in part.seeds]
        episodes[cell.scope] = [episode for part in parts for episode in part.episodes]
    return episodes


def _rollouts(checkpoint: Path) -> dict[str, list[Trajectory]]:
    """The episodes of a checkpoint, by half."""
    from exprag.evaluation.results import load_run

    folders = sorted(checkpoint.parent.glob(f"rollouts/*/{checkpoint.name}"))
    return {folder.parent.name: list(load_run(folder).episodes) for folder in folders}
