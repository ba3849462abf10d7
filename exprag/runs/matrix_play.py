"""Playing a matrix: shared work once, then cell by cell; again after a kill.

    OUT/matrix.json          what it is: its cells with their configurations
    OUT/banks/NAME/          experience of an environment's expert (a run directory), and the bank made of it
    OUT/cells/FOLDER/        one run directory for each cell
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from exprag.errors import ExpragError, RunError, boundary
from exprag.files import cannot_write, write_json
from exprag.runs.config import RunConfig, choose_tasks
from exprag.runs.directory import RunDirectory
from exprag.runs.engine import RunSummary
from exprag.runs.engine import run as run_episodes
from exprag.runs.lock import HOLDER, LOCK, locked
from exprag.runs.matrix import BankPlan, Cell, Matrix, differences
from exprag.runs.object_store import url_of
from exprag.runs.player import make_environment
from exprag.trajectory import Trajectory

MATRIX, CELLS, BANKS, VERSION = "matrix.json", "cells", "banks", "version.json"
CURE = "Choose another --out, or the same matrix."


@dataclass(frozen=True)
class MatrixProgress:
    """How far a matrix is: episodes of all cells, and the part that is played now."""

    part: str
    """The cell's folder, or "experience NAME" while an expert plays."""
    number: int
    """Its number among the parts, from 1."""
    parts: int
    episodes: int
    """Finished episodes of the whole matrix."""
    total: int
    won: int
    """Those of this call that reached their goal."""
    played: int
    """Those of this call."""
    seconds_left: float | None
    """Until the whole is finished, at the speed of this call; None before its first episode."""
    trajectory: Trajectory | None = None
    """The episode just finished."""


Progress = Callable[[MatrixProgress], None]


def play_matrix(
    matrix: Matrix, out: str | Path, *, part: bool = False, retry_errors: bool = False, progress: Progress | None = None
) -> list[RunSummary]:
    """Play what is missing of the matrix in the folder `out`; the summaries of its cells, in their order. `part`: the folder may
    hold more cells, which stay.

    The same call after an interruption completes it. A cell that cannot be played does not keep the others from it: RunError
    names it at the end, with the reason. Raises RunError before the first episode where `out` holds another matrix.
    """
    if url := url_of(out):
        raise RunError(f"{url} is not a folder: a matrix is played in one.", cure="Choose a folder for --out.")
    place = Path(out).expanduser().resolve()
    check(matrix, place, part=part)
    with locked(place):
        write_json(place / MATRIX, _description(matrix, place))
        return _Play(matrix, place, retry_errors, progress).play()


def check(matrix: Matrix, place: Path, *, part: bool = False) -> None:
    """Raises RunError where something else lies at this place, or another matrix; `part`: one with more cells is no other."""
    if place.exists() and not place.is_dir():
        raise RunError(f"{place} is a file, not a folder.", cure="Choose another --out.")
    if (place / MATRIX).exists():
        if reasons := differences(read_matrix(place), matrix.to_dict(), part=part):
            more = f" (and {len(reasons) - 1} more)" if len(reasons) > 1 else ""
            raise RunError(f"{place} holds another matrix: {reasons[0]}{more}.", cure=CURE)
    elif place.exists():
        own = {LOCK, HOLDER, f"{MATRIX}.partial"}
        if others := sorted({child.name for child in place.iterdir()} - own):
            raise RunError(f"{place} is not empty and not a matrix: {others[0]}.", cure="Choose another --out.")


def _description(matrix: Matrix, place: Path) -> dict[str, Any]:
    """What matrix.json holds from now on: the matrix, and the cells that were there before."""
    earlier = read_matrix(place) if (place / MATRIX).exists() else {"cells": [], "banks": {}}
    about = matrix.to_dict()
    folders = {cell["folder"] for cell in about["cells"]}
    about["cells"] += [cell for cell in earlier["cells"] if cell["folder"] not in folders]
    about["baseline"] = about["baseline"] or earlier.get("baseline")
    banks = {cell.folder: f"{BANKS}/{bank_name(cell)}/bank" for cell in matrix.cells if cell.expert_bank}
    return about | {"banks": (earlier.get("banks") or {}) | banks}


def read_matrix(place: Path) -> dict[str, Any]:
    """What matrix.json says. Raises RunError where it is damaged, or of a newer version."""
    path = place / MATRIX
    with boundary(RunError, f"{path} cannot be read", cure="Choose another --out."):
        data = json.loads(path.read_text(encoding="utf-8"))
    cells = data.get("cells") if isinstance(data, dict) else None
    names = {"folder", "arm", "config"}
    if not isinstance(cells, list) or not all(isinstance(cell, dict) and names <= cell.keys() for cell in cells):
        raise RunError(f"{path} does not describe a matrix.", cure="Choose another --out.")
    if data.get("matrix") != 1:
        raise RunError(f"{path} is of version {data.get('matrix')}; this exprag reads 1.", cure="Upgrade exprag.")
    for cell in cells:
        if not isinstance(cell["folder"], str) or re.search(r"[/\\]|^\.", cell["folder"]):
            raise RunError(f"{path} names the folder {cell['folder']!r}, which is not one of its own.")
    return data


class _Play:
    """One call of `play_matrix`."""

    def __init__(self, matrix: Matrix, place: Path, retry_errors: bool, progress: Progress | None) -> None:
        self._matrix, self._place, self._retry, self._progress = matrix, place, retry_errors, progress
        self._experience = {bank_name(cell): cell for cell in reversed(matrix.cells) if cell.expert_bank}
        self._parts = len(self._experience) + len(matrix.cells)
        self._number = self._earlier = self._played = self._won = self._total = 0
        self._began = time.monotonic()
        self._counts: dict[str, int] = {}

    def play(self) -> list[RunSummary]:
        failures: list[tuple[str, ExpragError]] = []
        experience = {name: self._expert(cell) for name, cell in self._experience.items()}
        self._total = sum(map(self._count, (*experience.values(), *(cell.config for cell in self._matrix.cells))))
        versions = {}
        for name, config in experience.items():
            self._number += 1
            versions[name] = self._make_bank(name, config)
        summaries = []
        for cell in self._matrix.cells:
            self._number += 1
            config = cell.config
            if cell.expert_bank:
                name = bank_name(cell)
                config = config.changed(bank=str(self._place / BANKS / name / "bank"), bank_version=versions[name])
            try:
                summaries.append(self._run(cell.folder, config, self._place / CELLS / cell.folder))
            except ExpragError as error:
                failures.append((cell.folder, error))
                self._earlier += self._count(config)
        if failures:
            folder, first = failures[0]
            more = f" {len(failures) - 1} more cells could not be played either." if len(failures) > 1 else ""
            raise RunError(f"The cell {folder}: {first.message}{more}", cure=first.cure or "Run the same again.") from first
        return summaries

    def _expert(self, cell: Cell) -> RunConfig:
        """The run in which the expert plays the tasks of the bank."""
        plan, config = self._matrix.bank or BankPlan(), cell.config
        chosen = plan.model_dump(exclude={"encoder", "strategies"})
        same = {name: getattr(config, name) for name in ("environment", "environment_options", "workers", "step_timeout")}
        return RunConfig.make(**same, **chosen, policy="expert", name="experience")

    def _make_bank(self, name: str, config: RunConfig) -> int:
        """The version of the bank of the expert's episodes, which are played and added where that is not done yet."""
        from exprag.bank import Bank

        folder = self._place / BANKS / name
        recorded = folder / VERSION
        self._run(f"experience {name}", config, folder / "experience")
        if recorded.exists() and Bank.exists(folder / "bank"):
            return int(json.loads(recorded.read_text(encoding="utf-8"))["version"])
        bank = Bank.open_or_create(folder / "bank", (self._matrix.bank or BankPlan()).encoder, self._strategies())
        bank.add(RunDirectory(folder / "experience").episodes())
        write_json(recorded, {"version": bank.version})
        return bank.version

    def _strategies(self) -> tuple[str, ...]:
        """The query strategies whose keys the arms search."""
        agents = [cell.config.agent for cell in self._matrix.cells if cell.expert_bank]
        extra = self._matrix.bank.strategies if self._matrix.bank else ()
        return tuple(dict.fromkeys([*(agent.key_strategy or agent.strategy for agent in agents), *extra]))

    def _count(self, config: RunConfig) -> int:
        """How many tasks a run has; runs that choose alike are counted once."""
        names = ("environment", "environment_options", "split", "types", "task_ids", "per_type", "limit", "shuffle", "seed")
        key = json.dumps([getattr(config, name) for name in names], default=str)
        if key not in self._counts:
            environment = make_environment(config)
            try:
                self._counts[key] = len(choose_tasks(environment, config))
            finally:
                environment.close()
        return self._counts[key]

    def _run(self, part: str, config: RunConfig, folder: Path) -> RunSummary:
        try:
            folder.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise cannot_write(folder, error) from error

        def update(count: int, total: int, trajectory: Trajectory | None) -> None:
            if trajectory is None:
                self._earlier += count
            else:
                self._played += 1
                self._won += bool(trajectory.success)
            self._tell(part, trajectory)

        return run_episodes(config, folder, retry_errors=self._retry, progress=update)

    def _tell(self, part: str, trajectory: Trajectory | None) -> None:
        if self._progress is None:
            return
        episodes = self._earlier + self._played
        speed = self._played / max(1e-9, time.monotonic() - self._began)
        left = (self._total - episodes) / speed if self._played else None
        state = MatrixProgress(part, self._number, self._parts, episodes, self._total, self._won, self._played, left)
        self._progress(replace(state, trajectory=trajectory))


def bank_name(cell: Cell) -> str:
    """The folder of the bank of a cell's environment: one for each environment and its options."""
    options = json.dumps(cell.config.environment_options, sort_keys=True, default=str)
    slug = re.sub(r"[^A-Za-z0-9]+", "-", cell.config.environment).strip("-")
    if options == "{}":
        return slug
    from hashlib import sha256

    return f"{slug}-{sha256(options.encode()).hexdigest()[:6]}"
