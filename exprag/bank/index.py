"""Indices: which vector index pays at a size and how it is asked, the full-text index of the keys, and the upkeep after writes.

The full-text index is configured in one place, `full_text`.

Below some ten thousand vectors all are compared: that is exact, and as fast. Above, inverted lists (IVF), of which a search reads
enough to find what the exact one finds; raw vectors in about 2√n partitions first (the smaller they are, the less is read for the
same recall), and from the size at which reading them takes too long, quantised ones in √n, the best of which are compared again
with the raw. An index's name says its kind and partitions: `task-ivf_flat-632`.
"""

from __future__ import annotations

import math
import re
import time
from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa

from exprag.bank.filters import TRUST
from exprag.bank.schema import KEY, VECTOR, describe, is_by_step, strategies_of
from exprag.bank.store import Store, guard
from exprag.bank.words import SPACED, UNSPACED, tokenizer_for
from exprag.errors import BankError, ConfigError

EXACT = "exact"
KINDS = {"ivf_flat": "IvfFlat", "ivf_sq": "IvfSq", "ivf_rq": "IvfRq", "ivf_hnsw_sq": "HnswSq"}
_FEW, _MANY = 10_000, 300_000  # vectors from which an index pays, and from which a quantised one does
_PROBES = 96
_REFINE = {"ivf_flat": 0, "ivf_sq": 1, "ivf_rq": 3, "ivf_hnsw_sq": 1}
_GROWN = 2  # an index is rebuilt when it should have this many times its partitions,
_PIECES = 8  # or lies in this many pieces: each upkeep may add one, and each costs a search 0.4 ms
KEEP_ALL = timedelta(days=36_500)
_TRAINING = {"sample_rate": 64, "max_iterations": 20}
_NAME = re.compile(r"(.+)-([a-z_]+)-(\d+)")
# Upkeep merges small writes and rewrites the table for it, so it waits for some. What waiting costs a search, measured: 0.1 ms
# a fragment (a fragment is a write), and 0.1 ms a row outside the full-text index where keys are whole trajectories.
_WRITES, _MOST_WRITES, _SHARE = 16, 256, 512
# What filters and exclusions ask. At 10,000 rows these halve the time of a filtered search; far below they cost more than that.
_FILTERED = {"task_key": "BTree", "task_group": "BTree", **dict.fromkeys(("environment", "type", "success", TRUST), "Bitmap")}
_FILTERED_ROWS = 2_000


class Plan(NamedTuple):
    """An index: its kind, how many partitions it has, and why it is this one."""

    kind: str
    partitions: int
    why: str = ""

    def name(self, strategy: str) -> str:
        return f"{strategy}-{self.kind}-{self.partitions}"


def check_kind(kind: str) -> str:
    """The kind, if it is one. Raises ConfigError naming those that exist."""
    if kind not in ("auto", EXACT, *KINDS):
        raise ConfigError(f"An index is auto, exact, {', '.join(KINDS)}; not {kind!r}.")
    return kind


def plan(vectors: int, kind: str = "auto") -> Plan:
    """The index for this many vectors: by size, or of one kind from the size at which any pays."""
    if kind == EXACT or vectors < _FEW:
        return Plan(EXACT, 0, "as requested" if kind == EXACT else f"fewer than {_FEW:,} vectors")
    why = "as requested"
    if kind == "auto":
        small = vectors < _MANY
        kind, why = ("ivf_flat", f"{_FEW:,} to {_MANY:,} vectors") if small else ("ivf_rq", f"{_MANY:,} vectors or more")
    root = math.isqrt(vectors)
    partitions = {"ivf_hnsw_sq": 1, "ivf_flat": 2 * root}.get(kind, root)
    return Plan(kind, min(4096, partitions), why)


def vector_indices(indices: Iterable[Any]) -> dict[str, Plan]:
    """The vector index of each strategy that has one, from the table's list of indices."""
    named = ((index, _NAME.fullmatch(index.name)) for index in indices if index.columns[0].startswith(VECTOR))
    return {parts[1]: Plan(parts[2], int(parts[3])) for _, parts in named if parts}


def count_vectors(table: Any, strategy: str) -> int:
    """Vectors of a strategy: one a row, or one a step."""
    if not is_by_step(table.schema, strategy):
        return int(table.count_rows())
    return sum(int(n) for n in table.search().select(["n_steps"]).to_arrow()["n_steps"].to_pylist())


def outgrown(table: Any) -> dict[str, Plan]:
    """The vector indices to be built: missing where one pays by now, far too small, in pieces, or not of the bank's kind."""
    plans = {}
    existing, kind = vector_indices(table.list_indices()), describe(table.schema, "").index
    for name in strategies_of(table.schema):
        if VECTOR + name not in table.schema.names:
            continue
        ideal, now = plan(count_vectors(table, name), kind), existing.get(name)
        if ideal.kind != EXACT and (
            now is None
            or ideal.partitions >= _GROWN * now.partitions
            or (kind != "auto" and now.kind != kind)
            or (now.partitions > 1 and table.index_stats(now.name(name)).num_indices >= _PIECES)
        ):
            plans[name] = ideal
    return plans


def grow(table: Any) -> dict[str, Plan]:
    """Build the vector indices that pay by now; returns them."""
    plans = outgrown(table)
    for name, new in plans.items():
        build(table, name, new)
    return plans


def build(table: Any, strategy: str, new: Plan) -> float:
    """Build a vector index in place of the existing one; returns seconds."""
    import lancedb.index as lance

    start = time.perf_counter()
    column = VECTOR + strategy
    old = [index.name for index in table.list_indices() if index.columns == [column]]
    if new.kind != EXACT:
        # LanceDB indexes lists of vectors by cosine alone, which on unit vectors is the dot product
        by_step = is_by_step(table.schema, strategy)
        # Partitions set by number LanceDB's `optimize` joins into a few of some ten thousand vectors, which a search reads
        # all; partitions set by size it keeps.
        size = {"target_partition_size": max(1, count_vectors(table, strategy) // new.partitions), **_TRAINING}
        options = {"num_partitions": new.partitions} if new.kind == "ivf_hnsw_sq" else size
        config = getattr(lance, KINDS[new.kind])(distance_type="cosine" if by_step else "dot", **options)
        table.create_index(column, config=config, name=new.name(strategy))
        if by_step:  # it has a partition for this many rows, not vectors, until it is optimized
            table.optimize(cleanup_older_than=KEEP_ALL)
    for name in old:
        if name != new.name(strategy):
            table.drop_index(name)
    return time.perf_counter() - start


def tuned(search: Any, index: Plan | None, by_step: bool, all_partitions: bool = False) -> Any:
    """The vector query, set to find what an exact one finds. With a narrow filter the usual partitions may hold too few rows:
    then it is to read `all_partitions`. (LanceDB left to read on by itself reads most of them every time.)"""
    if index is None:
        return search
    search = search.nprobes(_PROBES)
    if all_partitions:
        search = search.maximum_nprobes(0)
    refine = max(_REFINE.get(index.kind, 1), int(by_step))  # a list's score from an index alone may lack its best vector
    return search.refine_factor(refine) if refine else search


def full_text(by_step: bool, tokenizer: str) -> Any:
    """The configuration of the full-text index of a key column: BM25 with English stems and stop words, and one of the
    tokenizers of `exprag.bank.words`. Keys by step are lists, and each element is a text of its own."""
    from lancedb.index import FTS
    from lancedb.query import DocumentGranularity

    granularity = DocumentGranularity.LIST_ELEMENT if by_step else DocumentGranularity.ROW
    return FTS(base_tokenizer=tokenizer, document_granularity=granularity)


def tokenizers(indices: Iterable[Any]) -> dict[str, str]:
    """The tokenizer of each key column that is indexed, by strategy, as the indices themselves record it."""
    keys = [index for index in indices if index.columns[0].startswith(KEY)]
    return {index.columns[0].removeprefix(KEY): (index.index_details or {}).get("base_tokenizer", SPACED) for index in keys}


def fit_tokenizers(table: Any, rows: pa.Table | None = None) -> tuple[str, ...]:
    """Index again by dictionary the keys that hold, or with new `rows` will hold, text written without blanks; without `rows`
    all keys are read for it. To be called before rows are added, so that a kill leaves no row that cannot be found.

    Returns one line for each strategy whose index was made again.
    """
    notes = []
    for name, tokenizer in tokenizers(table.list_indices()).items():
        if tokenizer == SPACED and _tokenizer(table if rows is None else rows, KEY + name) == UNSPACED:
            table.create_index(KEY + name, config=full_text(is_by_step(table.schema, name), UNSPACED))
            notes.append(f"keys of {name}: divided into words by dictionary from now on, for text written without blanks")
    return tuple(notes)


def _tokenizer(texts: Any, column: str) -> str:
    """What fits a column of an Arrow table, or of a table of the bank, which is read a batch at a time."""
    if isinstance(texts, pa.Table):
        return tokenizer_for(texts[column])
    batches = texts.search().select([column]).to_batches()
    return UNSPACED if any(tokenizer_for(batch.column(column)) == UNSPACED for batch in batches) else SPACED


def ensure_indices(table: Any) -> None:
    """Create the indices that are missing: full text on the keys, the id, and in a bank of some size the filtered columns."""
    import lancedb.index as lance

    for column in missing_indices(table):
        if column.startswith(KEY):
            by_step = is_by_step(table.schema, column.removeprefix(KEY))
            table.create_index(column, config=full_text(by_step, _tokenizer(table, column)))
        else:
            table.create_index(column, config=getattr(lance, _FILTERED.get(column, "BTree"))())


def missing_indices(table: Any) -> list[str]:
    """Columns that should be indexed and are not."""
    columns = _always_indexed(table)
    if table.count_rows() >= _FILTERED_ROWS:
        columns += [column for column in _FILTERED if column in table.schema.names]
    indexed = _indexed(table.list_indices())
    return [column for column in columns if column not in indexed]


def needed_indices(table: Any) -> list[str]:
    """Those of the missing without which the bank cannot be searched at all."""
    lexical = not any(name.startswith(VECTOR) for name in table.schema.names)
    return [column for column in missing_indices(table) if column == "id" or (lexical and column.startswith(KEY))]


def _always_indexed(table: Any) -> list[str]:
    return ["id", *(KEY + name for name in strategies_of(table.schema))]


def _indexed(indices: Iterable[Any]) -> set[str]:
    return {column for index in indices for column in index.columns}


class Upkeep:
    """What follows a write: small writes are merged and new rows indexed, where there are enough of either.

    BM25 counts words in the indexed rows first, so what a search finds depends a little on whether upkeep has been done. It must
    not depend on when a process was killed or a disk was full: a note (a small file beside the table) stands from before the
    write until its upkeep is complete, and the next process that writes to the bank or opens it completes it. The note is empty
    while rows are written, and says "merge" once merging has begun. On object storage there is none (`note` None).

        upkeep.begin(); table.add(rows); upkeep.complete()
    """

    def __init__(self, table: Any, note: Path | None) -> None:
        self.table = table
        self.note = note

    @property
    def interrupted(self) -> bool:
        """Whether a write began here whose upkeep is not complete; under the writer's lock: it was killed, or failed."""
        return self.note is not None and self.note.exists()

    def begin(self) -> None:
        """To be called before a write."""
        if self.note is not None:
            self.note.touch()

    def complete(self) -> tuple[str, ...]:
        """To be called after a write, under the writer's lock. Returns one line for each vector index that was built."""
        notes: tuple[str, ...] = ()
        if (self.note is not None and self.note.exists() and self.note.stat().st_size) or self._due():
            if self.note is not None:
                with self.note.open("a") as file:
                    file.write("merge\n")
            self.table.optimize(cleanup_older_than=KEEP_ALL)
            ensure_indices(self.table)
            built = grow(self.table).items()
            notes = tuple(f"index of {name}: {new.kind}, {new.partitions} partitions" for name, new in built)
        if self.note is not None:
            self.note.unlink(missing_ok=True)
        return notes

    def _due(self) -> bool:
        stats = self.table.stats()
        fragments, share = stats["fragment_stats"]["num_fragments"], stats["num_rows"] // _SHARE
        indices = list(self.table.list_indices())
        unindexed = (self.table.index_stats(index.name).num_unindexed_rows for index in indices)
        return (
            fragments >= max(_WRITES, min(_MOST_WRITES, share))
            or max(unindexed, default=0) >= max(_WRITES, share)
            or not _indexed(indices).issuperset(_always_indexed(self.table))
        )


def resume_upkeep(store: Store, table: Any, name: str) -> None:
    """Complete what a killed process left of an opened table: indices without which it cannot be searched, and upkeep.

    Upkeep is left alone where another process is writing, which will complete it, or the place cannot be written to.
    """
    with guard(f"The indices of {store.uri} cannot be read"):
        if needed_indices(table):
            with store.writing():
                ensure_indices(table)
    upkeep = Upkeep(table, store.upkeep_note(name))
    if not upkeep.interrupted:
        return
    try:
        with guard(f"The upkeep of {store.uri} cannot be completed"), store.writing(timeout=0):
            table.checkout_latest()
            upkeep.complete()
    except BankError:
        return
