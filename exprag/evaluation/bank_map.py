"""A map of a bank: its keys in two dimensions, as one HTML file that needs nothing else.

Trajectories whose keys are alike lie close together; `exprag.evaluation.layout` says how they are placed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from exprag import html
from exprag.bank.schema import KEY, VECTOR
from exprag.errors import BankError, ConfigError
from exprag.evaluation.layout import METHODS, place
from exprag.evaluation.page import PACKAGE
from exprag.trajectory import OUTCOMES

if TYPE_CHECKING:
    from exprag.bank import Bank, Filter

_COLUMNS = ["id", "environment", "type", "success", "source", "n_steps", "instruction"]


@dataclass(frozen=True)
class BankMap:
    """Points of a bank."""

    rows: list[dict[str, Any]]
    """What the page shows of each trajectory: id, task, outcome, source and length."""
    places: np.ndarray
    """Where each stands: float32 [n, 2] in [0, 1]."""
    method: str
    """How they were placed: tsne or pca."""
    strategy: str
    """The query strategy whose keys were compared."""
    of: int
    """How many trajectories there are, of which `rows` may be a sample."""


def map_bank(
    bank: Bank, strategy: str | None = None, where: Filter | None = None, *, method: str = "auto", limit: int = 10_000
) -> BankMap:
    """Place the bank's trajectories; beyond `limit` an even sample of them. The same version gives the same map.

    Raises PluginError without scikit-learn, ConfigError for an unknown method, BankError where there is nothing to place.
    """
    if method not in METHODS:
        raise ConfigError(f"The method of a map is one of {', '.join(METHODS)}; not {method!r}.")
    name = bank.strategies[0] if strategy is None else strategy
    if name not in bank.strategies:
        raise BankError(f"The bank {bank.uri} holds no keys of {name!r}.", cure=f"It has {', '.join(bank.strategies)}.")
    column = (VECTOR if bank.dimension else KEY) + name
    query = bank.table.search().select([*_COLUMNS, column])
    condition = where.to_where() if where else ""
    rows = (query.where(condition) if condition else query).to_arrow().sort_by("id")
    of = rows.num_rows
    if not of:
        raise BankError(f"The bank {bank.uri} has no trajectory to show.", cure="Add some, or ask for less.")
    if of > limit:
        rows = rows.take(np.linspace(0, of - 1, limit).round().astype(int))
    places, method = place(rows[column].to_pylist(), method)
    return BankMap(rows.drop_columns([column]).to_pylist(), places, method, name, of)


def write_map(path: str | Path, bank: Bank, bank_map: BankMap) -> Path:
    """Write the page; returns its path. It appears as a whole or not at all. Raises RunError where it cannot be written."""
    return html.write_page(path, render_map(bank, bank_map))


def render_map(bank: Bank, bank_map: BankMap) -> str:
    """The page as text. All text of the bank is data to the script, which writes it as text and never as markup."""
    return html.render(
        PACKAGE,
        "viewer/bank_map.html",
        title=f"exprag bank: {Path(bank.uri).name}",
        style=html.inline(PACKAGE, "viewer/page.css", "viewer/bank_map.css"),
        script=html.inline(PACKAGE, "viewer/bank_map.js"),
        data=html.Embedded(html.embed(map_data(bank, bank_map)), "json"),
    )


def map_data(bank: Bank, bank_map: BankMap) -> dict[str, Any]:
    """What the script reads: columns, with names written once."""
    data: dict[str, Any] = {"x": bank_map.places[:, 0].round(4).tolist(), "y": bank_map.places[:, 1].round(4).tolist()}
    for name in ("type", "environment", "source"):
        data[f"{name}s"], data[name] = _coded([row[name] or "(none)" for row in bank_map.rows])
    numbers = {success: number for number, success in enumerate(OUTCOMES)}
    data["outcomes"], data["outcome"] = list(OUTCOMES.values()), [numbers[row["success"]] for row in bank_map.rows]
    data |= {name: [row[name] for row in bank_map.rows] for name in ("id", "instruction", "n_steps")}
    about = {"bank": Path(bank.uri).name, "version": bank.version, "encoder": bank.encoder}
    return data | {"about": about | {"strategy": bank_map.strategy, "method": bank_map.method, "of": bank_map.of}}


def _coded(values: Sequence[str]) -> tuple[list[str], list[int]]:
    """Names, the most frequent first, and the number of each value's."""
    names, counts = np.unique(np.asarray(values, dtype=object), return_counts=True)
    order = [str(names[index]) for index in np.lexsort((names, -counts))]
    numbers = {name: number for number, name in enumerate(order)}
    return order, [numbers[value] for value in values]
