"""Upkeep: the indices that every bank has, and the merging of small writes."""

from __future__ import annotations

from typing import Any

from exprag.bank.index import KEEP_ALL, Plan, build, outgrown
from exprag.bank.schema import KEY, TRUST, VECTOR, is_by_step, strategies_of

# Upkeep merges small writes and rewrites the table for it, so it waits for some. What waiting costs a search, measured: 0.1 ms
# a fragment (a fragment is a write), and 0.1 ms a row outside the full-text index where keys are whole trajectories.
_FEW, _MANY, _SHARE = 16, 256, 512
# What filters and exclusions ask. At 10,000 rows these halve the time of a filtered search; far below they cost more than that.
_FILTERED = {"task_key": "BTree", "task_group": "BTree", **dict.fromkeys(("environment", "type", "success", TRUST), "Bitmap")}
_FILTERED_ROWS = 2_000


def keep_up(table: Any) -> tuple[str, ...]:
    """Merge small writes and index new rows, if there are enough of either. Says which vector indices were made."""
    stats = table.stats()
    fragments, share = stats["fragment_stats"]["num_fragments"], stats["num_rows"] // _SHARE
    unindexed = (table.index_stats(index.name).num_unindexed_rows for index in table.list_indices())
    if fragments >= max(_FEW, min(_MANY, share)) or max(unindexed, default=0) >= max(_FEW, share):
        table.optimize(cleanup_older_than=KEEP_ALL)
        ensure_indices(table)
        return tuple(f"index of {name}: {chosen.kind}, {chosen.partitions} partitions" for name, chosen in grow(table).items())
    return ()


def grow(table: Any) -> dict[str, Plan]:
    """Make the vector indices that pay by now; returns them."""
    wanted = outgrown(table)
    for name, chosen in wanted.items():
        build(table, name, chosen)
    return wanted


def ensure_indices(table: Any) -> None:
    """Full text on the keys, the id, and in a bank of some size what filters ask."""
    import lancedb.index as lance
    from lancedb.query import DocumentGranularity

    for column in missing_indices(table):
        if column.startswith(KEY):
            listed = is_by_step(table.schema, column.removeprefix(KEY))
            grain = DocumentGranularity.LIST_ELEMENT if listed else DocumentGranularity.ROW
            table.create_index(column, config=lance.FTS(document_granularity=grain))
        else:
            table.create_index(column, config=getattr(lance, _FILTERED.get(column, "BTree"))())


def missing_indices(table: Any) -> list[str]:
    """Columns that should be indexed and are not."""
    wanted = ["id", *(KEY + name for name in strategies_of(table.schema))]
    if table.count_rows() >= _FILTERED_ROWS:
        wanted += [column for column in _FILTERED if column in table.schema.names]
    indexed = {column for index in table.list_indices() for column in index.columns}
    return [column for column in wanted if column not in indexed]


def needed_indices(table: Any) -> list[str]:
    """Those of them without which the bank cannot be asked."""
    lexical = not any(name.startswith(VECTOR) for name in table.schema.names)
    return [column for column in missing_indices(table) if column == "id" or (lexical and column.startswith(KEY))]
