"""Vector indices: which one pays at a size, how it is asked, and how well it finds.

Below some ten thousand vectors all are compared: that is exact, and as fast. Above, inverted lists (IVF), of which a search reads
so many that it finds what the exact one finds; raw vectors in about 2√n partitions first (the smaller they are, the less is read
for the same recall), and from the size on at which reading them takes too long, quantised ones in √n, whose best are compared
again with the raw. An index's name says its kind and partitions: `task-ivf_flat-632`.
"""

from __future__ import annotations

import math
import re
import statistics
import time
from collections.abc import Iterable, Iterator
from datetime import timedelta
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from exprag.bank.hop import asynchronous, wait
from exprag.bank.reports import IndexReport
from exprag.bank.schema import VECTOR, describe, is_by_step, strategies_of
from exprag.errors import ConfigError

EXACT = "exact"
KINDS = {"ivf_flat": "IvfFlat", "ivf_sq": "IvfSq", "ivf_rq": "IvfRq", "ivf_hnsw_sq": "HnswSq"}
_FEW, _MANY = 10_000, 300_000  # vectors from which an index pays, and from which a quantised one does
_PROBES = 96
_REFINE = {"ivf_flat": 0, "ivf_sq": 1, "ivf_rq": 3, "ivf_hnsw_sq": 1}
_GROWN = 2  # an index is made anew when it should have so many times its partitions,
_PIECES = 8  # or lies in so many pieces: each upkeep may add one, and each costs a search 0.4 ms
KEEP_ALL = timedelta(days=36_500)
_TRAINING = {"sample_rate": 64, "max_iterations": 20}
_NAME = re.compile(r"(.+)-([a-z_]+)-(\d+)")


class Plan(NamedTuple):
    """An index: its kind, how many partitions it has, and why it is this one."""

    kind: str
    partitions: int
    why: str = ""

    def name(self, strategy: str) -> str:
        return f"{strategy}-{self.kind}-{self.partitions}"


def check_kind(kind: str) -> str:
    """The kind, if it is one. Raises ConfigError with those that there are."""
    if kind not in ("auto", EXACT, *KINDS):
        raise ConfigError(f"An index is auto, exact, {', '.join(KINDS)}; not {kind!r}.")
    return kind


def plan(vectors: int, kind: str = "auto") -> Plan:
    """The index for so many vectors: by size, or of one kind from the size on at which any pays."""
    if kind == EXACT or vectors < _FEW:
        return Plan(EXACT, 0, "as asked for" if kind == EXACT else f"fewer than {_FEW:,} vectors")
    why = "as asked for"
    if kind == "auto":
        small = vectors < _MANY
        kind, why = ("ivf_flat", f"{_FEW:,} to {_MANY:,} vectors") if small else ("ivf_rq", f"{_MANY:,} vectors or more")
    root = math.isqrt(vectors)
    partitions = {"ivf_hnsw_sq": 1, "ivf_flat": 2 * root}.get(kind, root)
    return Plan(kind, min(4096, partitions), why)


def present(indices: Iterable[Any]) -> dict[str, Plan]:
    """The vector index of each strategy that has one, of the table's listed indices."""
    found = {}
    for index in indices:
        if index.columns[0].startswith(VECTOR) and (parts := _NAME.fullmatch(index.name)):
            found[parts[1]] = Plan(parts[2], int(parts[3]))
    return found


def count_vectors(table: Any, strategy: str) -> int:
    """Vectors of a strategy: one a row, or one a step."""
    if not is_by_step(table.schema, strategy):
        return int(table.count_rows())
    return sum(int(n) for n in table.search().select(["n_steps"]).to_arrow()["n_steps"].to_pylist())


def outgrown(table: Any) -> dict[str, Plan]:
    """The indices that should be made: missing where one pays by now, far too small, in pieces, or not of the bank's kind."""
    wanted = {}
    have, kind = present(table.list_indices()), describe(table.schema, "").index
    for name in strategies_of(table.schema):
        if VECTOR + name not in table.schema.names:
            continue
        ideal, now = plan(count_vectors(table, name), kind), have.get(name)
        if ideal.kind != EXACT and (
            now is None
            or ideal.partitions >= _GROWN * now.partitions
            or (kind != "auto" and now.kind != kind)
            or (now.partitions > 1 and table.index_stats(now.name(name)).num_indices >= _PIECES)
        ):
            wanted[name] = ideal
    return wanted


def build(table: Any, strategy: str, chosen: Plan) -> float:
    """Make the index in place of the one that is there; returns seconds."""
    import lancedb.index as lance

    started = time.perf_counter()
    column = VECTOR + strategy
    old = [index.name for index in table.list_indices() if index.columns == [column]]
    if chosen.kind != EXACT:
        # LanceDB indexes lists of vectors by cosine alone, which on unit vectors is the dot product
        by_step = is_by_step(table.schema, strategy)
        # Partitions made by number LanceDB's `optimize` joins into a few of some ten thousand vectors, which a search reads
        # all; to a size that they were made for it keeps.
        size = {"target_partition_size": max(1, count_vectors(table, strategy) // chosen.partitions), **_TRAINING}
        options = {"num_partitions": chosen.partitions} if chosen.kind == "ivf_hnsw_sq" else size
        config = getattr(lance, KINDS[chosen.kind])(distance_type="cosine" if by_step else "dot", **options)
        table.create_index(column, config=config, name=chosen.name(strategy))
        if by_step:  # made with a partition for so many rows, not vectors, until it is optimized
            table.optimize(cleanup_older_than=KEEP_ALL)
    for name in old:
        if name != chosen.name(strategy):
            table.drop_index(name)
    return time.perf_counter() - started


def asked(search: Any, index: Plan | None, by_step: bool, all_partitions: bool = False) -> Any:
    """The vector query, set to find what an exact one finds. With a narrow filter so many partitions may hold too few rows:
    then it is to be asked of all. (LanceDB left to read on by itself reads most of them every time.)"""
    if index is None:
        return search
    search = search.nprobes(_PROBES)
    if all_partitions:
        search = search.maximum_nprobes(0)
    refine = max(_REFINE.get(index.kind, 1), int(by_step))  # a list's score from an index alone may lack its best vector
    return search.refine_factor(refine) if refine else search


def measure(table: Any, strategy: str, sample: int, k: int = 10) -> IndexReport:
    """Search for `sample` of the stored keys through the index and exactly. Recall counts scores, not ids: among equal ones
    any is right."""
    from exprag.bank.search import rank
    from exprag.bank.view import look

    view, within = look(table), asynchronous(table)
    index = view.vectors.get(strategy)
    queries = _sample(table, strategy, min(sample, view.rows))
    best = np.full((len(queries), k), -np.inf, dtype=np.float32)
    vectors = 0
    for keys, owners in _vectors(table, strategy):
        scores = queries @ keys.T
        if owners is not None:  # a row counts by its best vector
            scores = np.maximum.reduceat(scores, owners, axis=1)
        best = -np.partition(-np.concatenate([best, scores], axis=1), k - 1, axis=1)[:, :k]
        vectors += len(keys)
    found, took = [], []
    for query, right in zip(queries, best, strict=True):
        started = time.perf_counter()
        ranked = wait(rank(within, view, strategy, query, k, ""))
        took.append((time.perf_counter() - started) * 1e3)
        found.append(sum(row.score >= right.min() - 1e-4 for row in ranked) / max(1, np.isfinite(right).sum()))
    return IndexReport(
        strategy=strategy,
        kind=index.kind if index else EXACT,
        partitions=index.partitions if index else 0,
        vectors=vectors,
        recall=round(float(np.mean(found)), 4) if found else None,
        ms=round(statistics.median(took), 2) if took else None,
        queries=len(queries),
    )


def _sample(table: Any, strategy: str, count: int) -> np.ndarray:
    """float32 [count, dimension]: stored keys, spread evenly over the rows."""
    offsets = np.linspace(0, table.count_rows() - 1, count).astype(int).tolist() if count else []
    rows = table.take_offsets(offsets).select([VECTOR + strategy]).to_arrow() if count else None
    found = [keys[len(keys) // 2 : len(keys) // 2 + 1] for keys in _rows(rows[VECTOR + strategy])] if rows else []
    return np.concatenate([keys for keys in found if len(keys)]) if found else np.empty((0, 1), dtype=np.float32)


def _rows(column: pa.ChunkedArray) -> Iterator[np.ndarray]:
    for value in column:
        flat = value.values.flatten() if pa.types.is_fixed_size_list(value.values.type) else value.values
        yield flat.to_numpy().reshape(-1, _dimension(column.type))


def _dimension(kind: pa.DataType) -> int:
    return int(kind.list_size if pa.types.is_fixed_size_list(kind) else kind.value_type.list_size)


def _vectors(table: Any, strategy: str) -> Iterator[tuple[np.ndarray, np.ndarray | None]]:
    """All vectors, a batch of rows at a time, and by step where each row's begin."""
    column = VECTOR + strategy
    for batch in table.search().select([column]).to_batches():
        values = batch.column(column)
        if not len(values):
            continue
        owners = None
        if is_by_step(table.schema, strategy):
            counts = values.value_lengths().to_numpy()
            owners = np.concatenate([[0], np.cumsum(counts[counts > 0])[:-1]])
            values = values.flatten()
        if len(values):
            yield values.flatten().to_numpy().reshape(len(values), -1), owners
