"""What is played to reproduce a paper's tables: read from the checked-in files, and expanded into one matrix."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
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
class Table:
    """One table of the paper."""

    name: str
    title: str
    source: str
    rows: tuple[TableRow, ...]
    left_out: tuple[str, ...] = ()
    """Labels of the arms that are not played, because they need training."""


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


def table_names(paper: str) -> list[str]:
    """The tables of a paper that can be played."""
    folder = files("exprag.evaluation.reproduce").joinpath(paper)
    names = [entry.name.removesuffix(".toml") for entry in folder.iterdir() if entry.name.endswith(".toml")]
    order = ["success", "index", "k", "refresh", "formats"]
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
) -> Plan:
    """The plan for these tables (default: all). `run`: fields of a run on top, for all cells.

    Raises ConfigError for an unknown environment, scale or table, PluginError where the environment cannot be played.
    """
    about = _read(paper, ENVIRONMENTS)
    environments = [name for name in about if not _is_fallback(name, about)]
    for what, name, names in (("environment", environment, environments), ("scale", scale, list(SCALES))):
        if name not in names:
            raise ConfigError(f"The tables of {paper} are not played with the {what} {name!r}.", cure=closest(name, names))
    names = table_names(paper)
    for name in tables:
        if name not in names:
            raise ConfigError(f"{paper} has no table {name!r}.", cure=closest(name, names))
    played, notes = _playable(environment, about)
    sizes = about[played][scale]
    data = {name: _read(paper, f"{name}.toml") for name in tables or names}
    arms = _arms(data)
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
    read = tuple(_table(name, values, environment) for name, values in data.items())
    return Plan(paper, read, Matrix.of(config), played, model, scale, tuple(notes))


def _arms(data: Mapping[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """The arms of all tables that need no training, each once, with the index states of all its rows."""
    arms: dict[str, dict[str, Any]] = {}
    for name, table in data.items():
        for arm, values in table["arms"].items():
            if "trained" in values:
                continue
            fields = {field: value for field, value in values.items() if field not in OF_TABLE}
            states = fields.pop("index_states", [])
            earlier = dict(arms.get(arm, fields))
            all_states = list(dict.fromkeys([*earlier.pop("index_states", []), *states]))
            if earlier != fields:
                raise ConfigError(f"The arm {arm!r} of the table {name!r} is another in an earlier table.")
            arms[arm] = fields | ({"index_states": all_states} if all_states else {})
    return arms


def _table(name: str, values: Mapping[str, Any], environment: str) -> Table:
    rows, left_out = [], []
    paper = values.get("paper", {}).get(environment, {})
    for arm, about in values["arms"].items():
        states = about.get("index_states") or [None]
        if "trained" in about:
            left_out.append(str(about["label"]))
        for state in states:
            label = about["label"] + (f" [{state}]" if len(states) > 1 else "")
            figures = paper.get(f"{arm} [{state}]" if len(states) > 1 else arm, [])
            rows.append(TableRow(label, arm, state, tuple(_figure(figure) for figure in figures)))
    return Table(name, values["title"], values["source"], tuple(rows), tuple(left_out))


def _figure(values: Mapping[str, Any]) -> Figure:
    numbers = {part: float(values[part]) for part in (*HALVES, "all") if part in values}
    return Figure(values["model"], numbers, bool(values.get("about")))


def _playable(environment: str, about: Mapping[str, Any]) -> tuple[str, list[str]]:
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


def _read(paper: str, name: str) -> dict[str, Any]:
    file = files("exprag.evaluation.reproduce").joinpath(paper, name)
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ConfigError(f"There are no tables of a paper {paper!r}.") from error
