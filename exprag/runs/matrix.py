"""A matrix of runs: arms × index states × seeds × tasks, named in one TOML file or in Python, and expanded into cells.

    name = "memory"
    baseline = "no-memory"
    seeds = [1, 2, 3]
    index_states = ["matched", "empty"]        # for the arms with memory; default: each arm's own

    [run]                                      # what all cells share: fields of a run
    environment = "alfworld-generated"
    split = "test"

    [environments.easy]                        # the tasks, under names; without any they are those of [run]
    types = ["easy"]

    [bank]                                     # made once by the environment's expert: the bank "expert" of the arms
    split = "train"
    per_type = 20

    [arms.no-memory]
    [arms.memory]
    bank = "expert"
    k = 2

A cell is an ordinary run; `exprag.runs.matrix_play` plays them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field

from exprag.config import Settings, merged, read_settings
from exprag.errors import ConfigError
from exprag.runs.config import RunConfig, changes_no_result, flat
from exprag.trusted_code import refuse_code

EXPERT = "expert"
"""The name by which arms call the bank that the matrix makes."""
OWN = ("index_states", "seeds", "environments")
"""What an arm may say of its own axes, beside the fields of a run."""

IndexState = Literal["all", "matched", "mismatched", "empty"]


class BankPlan(Settings):
    """The bank of a matrix: the episodes of the environment's expert, played once for all cells."""

    split: str = "train"
    """Split of the tasks that the expert plays."""
    types: tuple[str, ...] = ()
    """Task types; default: all."""
    per_type: int | None = Field(None, ge=1)
    """Tasks of each type, at most."""
    limit: int | None = Field(None, ge=1)
    """Tasks in all, at most."""
    shuffle: bool = False
    """Draw the tasks with the seed instead of taking the first."""
    seed: int = 2025
    """Seed of the expert's episodes."""
    expert: str | None = None
    """Which expert of the environment; default: its first."""
    encoder: str = "lexical"
    """Encoder of the bank."""
    strategies: tuple[str, ...] = ()
    """Query strategies whose keys it holds, beside those that the arms need."""


class MatrixConfig(Settings):
    """A matrix as its file has it."""

    name: str = ""
    """What it is called in its report."""
    baseline: str | None = None
    """The arm that the others are compared with; default: the one without memory."""
    seeds: tuple[int, ...] = ()
    """Seeds; default: that of each run."""
    index_states: tuple[IndexState, ...] = ()
    """Index states of the arms with memory; default: each arm's own."""
    run: dict[str, Any] = Field(default_factory=dict)
    """Fields of the run that all cells share."""
    environments: dict[str, dict[str, Any]] = Field(default_factory=dict)
    """Tasks by name: fields of the run."""
    bank: BankPlan | None = None
    """The bank that is made for the arms that name the bank "expert"."""
    arms: dict[str, dict[str, Any]] = Field(min_length=1)
    """Arms by name: fields of the run, and axes of the arm alone (index_states, seeds, environments)."""


@dataclass(frozen=True)
class Cell:
    """One run of a matrix."""

    folder: str
    """Name of its folder, under OUT/cells."""
    arm: str
    scope: str
    """The name of its tasks; "" where the matrix names none."""
    index_state: str | None
    """What it may find, where the matrix varies that."""
    seed: int
    config: RunConfig
    expert_bank: bool = False
    """Whether its bank is the one that the matrix makes."""


@dataclass(frozen=True)
class Matrix:
    """The cells, in the order in which they are played: seed by seed, so that what is there early compares all arms."""

    cells: tuple[Cell, ...]
    name: str = ""
    baseline: str | None = None
    bank: BankPlan | None = None

    @classmethod
    def read(cls, path: str | Path, *, allow_code: bool = False, **overrides: Any) -> Self:
        """From a TOML or JSON file, with values given here on top. Raises ConfigError naming file, arm and field.

        Code that the file names is refused unless `allow_code`, as in `Settings.read`.
        """
        try:
            matrix = cls.of(MatrixConfig.make(**merged(read_settings(path), overrides)))
        except ConfigError as error:
            message = error.message if str(path) in error.message else f"{path}: {error.message}"
            raise ConfigError(message, cure=error.cure) from error
        for cell in matrix.cells if not allow_code else ():
            refuse_code(cell.config, path, overrides)
        return matrix

    @classmethod
    def make(
        cls,
        arms: Mapping[str, RunConfig],
        *,
        seeds: Sequence[int] = (),
        index_states: Sequence[str] = (),
        baseline: str | None = None,
        name: str = "",
        bank: BankPlan | None = None,
    ) -> Self:
        """From configurations by name; seeds and index states as in the file."""
        for arm, config in arms.items():
            if not isinstance(config, RunConfig):
                raise ConfigError(f"The arm {arm!r} is a {type(config).__name__}, not a RunConfig.")
        values = {arm: config.model_dump(exclude_unset=True) for arm, config in arms.items()}
        return cls.of(
            MatrixConfig.make(
                name=name, baseline=baseline, seeds=tuple(seeds), index_states=tuple(index_states), bank=bank, arms=values
            )
        )

    @classmethod
    def of(cls, config: MatrixConfig) -> Self:
        """Expand. Raises ConfigError for an arm that is not a valid run, and for names that would share a folder."""
        if config.baseline is not None and config.baseline not in config.arms:
            arms = ", ".join(config.arms)
            raise ConfigError(f"The baseline {config.baseline!r} is not an arm of the matrix.", cure=f"Its arms: {arms}.")
        cells = tuple(
            cell
            for scope, tasks in (config.environments or {"": {}}).items()
            for arm, values in config.arms.items()
            for cell in _cells(config, scope, tasks, arm, values)
        )
        folders = [cell.folder.lower() for cell in cells]
        for cell in cells:
            if folders.count(cell.folder.lower()) > 1:
                message = f"Two cells would share the folder {cell.folder!r}."
                raise ConfigError(message, cure="Give arms and tasks names that differ in more than punctuation.")
        order = {seed: number for number, seed in enumerate(dict.fromkeys(cell.seed for cell in cells))}
        return cls(tuple(sorted(cells, key=lambda cell: order[cell.seed])), config.name, config.baseline, config.bank)

    def with_cells(self, cells: Sequence[Cell]) -> Self:
        """The same with other cells."""
        return replace(self, cells=tuple(cells))

    def to_dict(self) -> dict[str, Any]:
        """What OUT/matrix.json holds of it: plain data, without credentials."""
        from exprag.models.credentials import hide_credentials

        cells = []
        for cell in self.cells:
            values = cell.config.model_dump(mode="json") | {"model": hide_credentials(cell.config.model)}
            about = {name: getattr(cell, name) for name in ("folder", "arm", "scope", "index_state", "seed", "expert_bank")}
            cells.append({**about, "config": values})
        bank = None if self.bank is None else self.bank.model_dump(mode="json")
        return {"matrix": 1, "name": self.name, "baseline": self.baseline, "bank": bank, "cells": cells}


def _cells(config: MatrixConfig, scope: str, tasks: dict[str, Any], arm: str, values: dict[str, Any]) -> list[Cell]:
    """The cells of one arm on one set of tasks."""
    axes = {name: values[name] for name in OWN if name in values}
    if scope not in axes.get("environments", [scope]):
        return []
    fields = merged(merged(config.run, tasks), {name: value for name, value in values.items() if name not in OWN})
    try:
        plain = RunConfig.make(**fields)
    except ConfigError as error:
        raise ConfigError(f"The arm {arm!r}: {error.message}", cure=error.cure) from error
    memory = plain.bank is not None or plain.learn != "none"
    states: list[str | None] = list(axes.get("index_states", config.index_states)) if memory else []
    seeds = list(axes.get("seeds", config.seeds)) or [plain.seed]
    expert_bank = config.bank is not None and plain.bank == EXPERT
    cells = []
    for state in states or [None]:
        for seed in seeds:
            changes: dict[str, Any] = {"seed": seed} | ({"index_state": state} if state else {})
            folder = "--".join(_slug(part) for part in (arm, scope, state or "", f"seed-{seed}") if part)
            cell = plain.changed(**changes, name=plain.name or folder)
            cells.append(Cell(folder, arm, scope, state, seed, cell, expert_bank))
    return cells


def _slug(text: str) -> str:
    """The text as part of a folder's name."""
    slug = re.sub(r"[^A-Za-z0-9._=+]+", "-", text).strip("-.")
    if not slug:
        raise ConfigError(f"{text!r} has no letter and no digit: a folder cannot be named by it.")
    return slug


def differences(stored: Mapping[str, Any], now: Mapping[str, Any], *, part: bool = False) -> list[str]:
    """Why OUT, whose matrix.json is `stored`, holds another matrix than `now`: cells that are otherwise, and unless `now` is only
    a part of it those that are no longer there.

    A matrix may grow: cells that are new are no difference. Fields that only one of the two has come from another version.
    """
    cells = {cell["folder"]: cell for cell in now["cells"]}
    reasons = []
    for cell in stored["cells"]:
        other = cells.get(cell["folder"])
        if other is None:
            reasons += [] if part else [f"its cell {cell['folder']} is not in this one"]
            continue
        mine, others = flat(cell["config"]), flat(other["config"])
        # the bank is made by the matrix, or compared by the cell's own folder
        names = [name for name in mine if name in others and name not in ("bank", "bank_version") and not changes_no_result(name)]
        fields = [name for name in names if mine[name] != others[name]]
        both = [f"{name} ({json.dumps(mine[name])} there, {json.dumps(others[name])} now)" for name in fields]
        reasons += [f"{cell['folder']}: {words}" for words in both]
    if stored.get("bank") != now.get("bank"):
        reasons.append("its bank is made otherwise")
    return reasons
