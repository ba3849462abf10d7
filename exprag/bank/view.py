"""What a search has to know of a table beside its rows, read once for each version."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from exprag.bank.filters import TRUSTED, literal
from exprag.bank.index import Plan, present
from exprag.bank.schema import KEY, TRUST, is_by_step, strategies_of


@dataclass(frozen=True)
class View:
    """One version: its rows, columns and strategies; whether all rows are trusted; the vector index of each strategy that has
    one, and the strategies whose texts are indexed."""

    version: int
    rows: int
    schema: pa.Schema
    trusted: bool
    strategies: tuple[str, ...]
    by_step: frozenset[str]
    vectors: dict[str, Plan]
    texts: frozenset[str]


def look(table: Any) -> View:
    """The view of the version that the table is at."""
    version, schema, indices = int(table.version), table.schema, table.list_indices()
    names = strategies_of(schema)
    texts = {index.columns[0].removeprefix(KEY) for index in indices if index.columns[0].startswith(KEY)}
    by_step = frozenset(name for name in names if is_by_step(schema, name))
    doubtful = table.count_rows(f"{TRUST} != {literal(TRUSTED)} OR {TRUST} IS NULL") if TRUST in schema.names else 0
    return View(version, int(table.count_rows()), schema, not doubtful, names, by_step, present(indices), frozenset(texts))
