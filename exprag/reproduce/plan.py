"""What is played to reproduce a paper's tables: read from the checked-in files, and expanded into one matrix."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from importlib.resources import files
from pathlib import Path
from typing import Any

from exprag.errors import ConfigError, closest
from exprag.runs.matrix import BankPlan, Matrix, MatrixConfig

ENVIRONMENTS = "environments.toml"
SCALES = ("small", "full")
HALVES = ("easy", "hard")
OF_TABLE = ("label", "trained")
"""What a table says of an arm beside the fields of its run."""


@dataclass(frozen=True)
class Figure:
    """A figure of the paper: success in per cent, of a model, by half of the tasks (easy, hard) or over all of them."""

    model: str
    values: dict[str, float]
    about: bool = False
    """Whether it was read from a chart."""


@dataclass(frozen=True)
class TableRow:
    """A row of a table: an arm in one index state, and the paper's figures for it."""

    label: str
    arm: str
    index_state: str | None
    figures: tuple[Figure, ...] = ()


@dataclass(frozen=True)
class Course:
    """How an adapter does from epoch to epoch: from the arm `before`, without training, to the arm `arm`, with it."""

    label: str
    kind: str
    """How the adapter is trained."""
    before: str
    arm: str


@dataclass(frozen=True)
class Table:
    """One table of the paper; one that has courses is drawn as a figure, epoch by epoch."""

    name: str
    title: str
    source: str
    rows: tuple[TableRow, ...]
    left_out: tuple[str, ...] = ()
    """Labels of the arms that are not played, because they need training."""
    courses: tuple[Course, ...] = ()


@dataclass(frozen=True)
class Plan:
    """The tables, the matrix whose cells fill them, and how it is other than what the paper played."""

    paper: str
    tables: tuple[Table, ...]
    matrix: Matrix
    environment: str
    model: str
    scale: str
    notes: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()
    """How the adapters that the tables need are trained (`exprag.reproduce.training`)."""
    training: dict[str, Any] = field(default_factory=dict)
    """Fields of the recipe at this scale, and `limit`, the episodes that are trained on."""
    easy_types: tuple[str, ...] = ()
    with_adapters: Callable[[dict[str, str]], Plan] | None = field(default=None, compare=False, repr=False)
    """The same plan with the arms that need training, given the specs of the adapters by kind."""

    def bank_in(self, out: Path) -> tuple[Path, Path, int]:
        """Where the bank and the expert's episodes lie in the folder of the matrix, and the bank's version."""
        from exprag.runs.matrix_play import BANKS, VERSION, bank_name

        name = next(bank_name(cell) for cell in self.matrix.cells if cell.expert_bank)
        folder = out / BANKS / name
        return folder / "bank", folder / "experience", int(json.loads((folder / VERSION).read_text(encoding="utf-8"))["version"])


def table_names(paper: str) -> list[str]:
    """The tables of a paper that can be played."""
    folder = files("exprag.reproduce").joinpath(paper)
    names = [entry.name.removesuffix(".toml") for entry in folder.iterdir() if entry.name.endswith(".toml")]
    order = ["success", "index", "k", "refresh", "formats", "epochs"]
    return sorted(set(names) - {"environments"}, key=lambda name: (order.index(name) if name in order else len(order), name))


def make_plan(
    paper: str,
    environment: str,
    model: str,
    scale: str = "small",
    *,
    tables: Sequence[str] = (),
    encoder: str = "lexical",
    seeds: Sequence[int] = (),
    run: Mapping[str, Any] | None = None,
    training: Mapping[str, Any] | None = None,
    adapters: Mapping[str, str] | None = None,
) -> Plan:
    """The plan for these tables (default: all). `run`: fields of a run on top, for all cells; `training`: of the recipe.
    `adapters`: specs of adapters by kind, for the arms that need training.

    Raises ConfigError for an unknown environment, scale or table, PluginError where the environment cannot be played.
    """
    about = read_file(paper, ENVIRONMENTS)
    environments = [name for name in about if not _is_fallback(name, about)]
    for what, name, names in (("environment", environment, environments), ("scale", scale, list(SCALES))):
        if name not in names:
            raise ConfigError(f"The tables of {paper} are not played with the {what} {name!r}.", cure=closest(name, names))
    names = table_names(paper)
    for name in tables:
        if name not in names:
            raise ConfigError(f"{paper} has no table {name!r}.", cure=closest(name, names))
    played, notes = playable(environment, about)
    sizes = about[played][scale]
    data = {name: read_file(paper, f"{name}.toml") for name in tables or names}
    arms = _arms(data, adapters or {})
    halves = sizes.get("types") or about[played]["halves"]
    bank = BankPlan.make(**sizes["bank"], encoder=encoder)
    if not bank.types and "types" in sizes:
        bank = bank.changed(types=tuple(type_ for half in HALVES for type_ in halves[half]))
    config = MatrixConfig.make(
        name=f"{paper}, {environment}, {scale}",
        baseline="no-memory" if "no-memory" in arms else None,
        seeds=tuple(seeds),
        run={"environment": played, "model": model, **sizes["run"], **(run or {})},
        environments={half: {"types": halves[half]} for half in HALVES},
        bank=bank,
        arms=arms,
    )
    if scale == "small":
        notes.append("The scale is small: intervals are wide, and `--scale full` plays as many tasks as the paper.")
    if encoder == "lexical":
        notes.append("The bank is searched by words (lexical); the paper's encoder is Qwen3-Embedding-0.6B (--encoder qwen3).")
    again = partial(
        make_plan, paper, environment, model, scale, tables=tables, encoder=encoder, seeds=seeds, run=run, training=training
    )
    kinds = [arm["trained"] for table in data.values() for arm in table["arms"].values() if "trained" in arm]
    return Plan(
        paper,
        tuple(_table(name, values, environment, adapters or {}) for name, values in data.items()),
        Matrix.of(config),
        played,
        model,
        scale,
        tuple(notes),
        tuple(dict.fromkeys(kinds)),
        {**sizes.get("training", {}), **(training or {})},
        tuple(halves["easy"]),
        lambda specs: again(adapters=specs),
    )


def _arms(data: Mapping[str, dict[str, Any]], adapters: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """The arms of all tables, each once, with the index states of all its rows; without those whose adapter is not there."""
    arms: dict[str, dict[str, Any]] = {}
    for table_name, table in data.items():
        for arm, values in table["arms"].items():
            if "trained" in values and values["trained"] not in adapters:
                continue
            fields = {name: value for name, value in values.items() if name not in OF_TABLE}
            if "trained" in values:
                fields["model"] = adapters[values["trained"]]
            states = fields.pop("index_states", [])
            earlier = dict(arms.get(arm, fields))
            all_states = list(dict.fromkeys([*earlier.pop("index_states", []), *states]))
            if earlier != fields:
                raise ConfigError(f"The arm {arm!r} of the table {table_name!r} is another in an earlier table.")
            arms[arm] = fields | ({"index_states": all_states} if all_states else {})
    return arms


def _table(name: str, values: Mapping[str, Any], environment: str, adapters: Mapping[str, str]) -> Table:
    rows, left_out = [], []
    paper = values.get("paper", {}).get(environment, {})
    for arm, about in values["arms"].items():
        states = about.get("index_states") or [None]
        if "trained" in about and about["trained"] not in adapters:
            left_out.append(str(about["label"]))
        for state in states:
            label = about["label"] + (f" [{state}]" if len(states) > 1 else "")
            figures = paper.get(f"{arm} [{state}]" if len(states) > 1 else arm, [])
            rows.append(TableRow(label, arm, state, tuple(read_figure(figure) for figure in figures)))
    arms_of = values["arms"]
    courses = [
        Course(arms_of[about["arm"]]["label"], arms_of[about["arm"]]["trained"], about["before"], about["arm"])
        for about in values.get("courses", ())
    ]
    return Table(name, values["title"], values["source"], tuple(rows), tuple(left_out), tuple(courses))


def read_figure(values: Mapping[str, Any]) -> Figure:
    """A figure of the paper as the file has it."""
    numbers = {part: float(values[part]) for part in (*HALVES, "all") if part in values}
    return Figure(values["model"], numbers, bool(values.get("about")))


def playable(environment: str, about: Mapping[str, Any]) -> tuple[str, list[str]]:
    """The environment, or what is played in its place where its own data is not there, and a note that says so."""
    from exprag.plugins import registry

    component = registry().get("environment", environment)
    problem = component.problem()
    fallback = about[environment].get("fallback")
    if problem is None or fallback is None:
        return environment, []
    why = f"{environment} cannot be played here ({problem.rstrip('.')})"
    return fallback, [f"{why}: {fallback} is played in its place, whose tasks are others than the paper's."]


def _is_fallback(name: str, about: Mapping[str, Any]) -> bool:
    return any(values.get("fallback") == name for values in about.values())


def read_file(paper: str, name: str) -> dict[str, Any]:
    """A file of the paper. Raises ConfigError where there is none."""
    file = files("exprag.reproduce").joinpath(paper, name)
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ConfigError(f"There are no tables of a paper {paper!r}.") from error
