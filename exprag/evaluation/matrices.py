"""Reading what a matrix of runs left: its cells, the seeds of each arm put together, and what is missing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from exprag.evaluation.results import RunResult, load_run


@dataclass(frozen=True)
class MatrixResult:
    """A matrix as far as it was played."""

    runs: tuple[RunResult, ...]
    """One for each arm, set of tasks and index state, its seeds put together; those of which nothing was played are left out."""
    notes: tuple[str, ...]
    """A sentence for each cell of which something is missing."""
    baseline: str | None = None
    name: str = ""


def is_matrix(path: str | Path) -> bool:
    """Whether a matrix was played in this folder."""
    return (Path(path).expanduser() / "matrix.json").is_file()


def load_matrix(path: str | Path) -> MatrixResult:
    """Read a matrix, also one that is still being played. Raises RunError for a folder that is not one, or is damaged."""
    from exprag.runs.matrix_play import CELLS, read_matrix

    place = Path(path).expanduser()
    about = read_matrix(place)
    banks = about.get("banks") or {}
    cells: dict[tuple[str, str, str | None], list[RunResult]] = {}
    expected: dict[tuple[str, str, str | None], list[dict[str, Any]]] = {}
    notes = []
    for cell in about["cells"]:
        key = (str(cell["arm"]), str(cell.get("scope") or ""), cell.get("index_state"))
        expected.setdefault(key, []).append(cell)
        folder = place / CELLS / cell["folder"]
        if not (folder / "config.json").is_file():
            notes.append(f"The cell {cell['folder']} has not been played.")
            continue
        run = load_run(folder)
        if bank := banks.get(cell["folder"]):
            run = replace(run, config={**run.config, "bank": str(place / bank)})  # the folder may have been moved
        seed = cell.get("seed")
        cells.setdefault(key, []).append(replace(run, seeds=(seed,) if isinstance(seed, int) else ()))
    runs = [_joined(key, parts, _varied(expected)) for key, parts in cells.items()]
    return MatrixResult(tuple(runs), (*notes, *_short(runs)), about.get("baseline"), str(about.get("name") or ""))


def _joined(key: tuple[str, str, str | None], parts: Sequence[RunResult], varied: tuple[bool, bool]) -> RunResult:
    """The cells of one arm, set of tasks and index state as one run."""
    arm, scope, state = key
    name = arm
    if state is not None and varied[1]:
        name += f" [{state}]"
    if scope and varied[0]:
        name = f"{scope}: {name}"
    return replace(
        parts[0],
        name=name,
        episodes=tuple(episode for part in parts for episode in part.episodes),
        repeated=sum(part.repeated for part in parts),
        arm=arm,
        scope=scope,
        index_state=state,
        seeds=tuple(seed for part in parts for seed in part.seeds),
        parts=tuple(parts),
    )


def _varied(keys: Any) -> tuple[bool, bool]:
    """Whether there are several sets of tasks, and several index states."""
    return len({scope for _, scope, _ in keys}) > 1, len({state for _, _, state in keys if state is not None}) > 1


def _short(runs: Sequence[RunResult]) -> list[str]:
    """A sentence for each seed of an arm with fewer tasks than the same seed has in another arm on the same tasks."""
    counts = {(run.name, run.scope, seed): len(part.episodes) for run in runs for part in run.parts for seed in part.seeds}
    most: dict[tuple[str, int], int] = {}
    for (_, scope, seed), count in counts.items():
        most[scope, seed] = max(count, most.get((scope, seed), 0))
    return [
        f"{name}, seed {seed}: {count} of {most[scope, seed]} episodes that another arm has; what is missing is in no difference."
        for (name, scope, seed), count in counts.items()
        if count < most[scope, seed]
    ]
