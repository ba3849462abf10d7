"""How well a vector index finds: recall against the exact search, and latency, on a sample of the stored keys."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa

from exprag.bank.index import EXACT
from exprag.bank.reports import IndexReport
from exprag.bank.schema import VECTOR, is_by_step
from exprag.bank.search import look, rank
from exprag.bank.store import asynchronous, wait


def measure(table: Any, strategy: str, sample: int, k: int = 10) -> IndexReport:
    """Search for `sample` of the stored keys through the index and exactly. Recall counts scores, not ids: among equal ones
    any is right."""
    view, inner = look(table), asynchronous(table)
    index = view.vectors.get(strategy)
    queries = _sample(table, strategy, min(sample, view.rows))
    best = np.full((len(queries), k), -np.inf, dtype=np.float32)
    vectors = 0
    for keys, starts in _vectors(table, strategy):
        scores = queries @ keys.T
        if starts is not None:  # a row counts by its best vector
            scores = np.maximum.reduceat(scores, starts, axis=1)
        best = -np.partition(-np.concatenate([best, scores], axis=1), k - 1, axis=1)[:, :k]
        vectors += len(keys)
    recalls, times = [], []
    for query, exact in zip(queries, best, strict=True):
        start = time.perf_counter()
        ranked = wait(rank(inner, view, strategy, query, k, ""))
        times.append((time.perf_counter() - start) * 1e3)
        recalls.append(sum(row.score >= exact.min() - 1e-4 for row in ranked) / max(1, np.isfinite(exact).sum()))
    return IndexReport(
        strategy=strategy,
        kind=index.kind if index else EXACT,
        partitions=index.partitions if index else 0,
        vectors=vectors,
        recall=round(float(np.mean(recalls)), 4) if recalls else None,
        ms=round(statistics.median(times), 2) if times else None,
        queries=len(queries),
    )


def _sample(table: Any, strategy: str, count: int) -> np.ndarray:
    """float32 [count, dimension]: stored keys, spread evenly over the rows."""
    offsets = np.linspace(0, table.count_rows() - 1, count).astype(int).tolist() if count else []
    rows = table.take_offsets(offsets).select([VECTOR + strategy]).to_arrow() if count else None
    middles = [keys[len(keys) // 2 : len(keys) // 2 + 1] for keys in _rows(rows[VECTOR + strategy])] if rows else []
    return np.concatenate([keys for keys in middles if len(keys)]) if middles else np.empty((0, 1), dtype=np.float32)


def _rows(column: pa.ChunkedArray) -> Iterator[np.ndarray]:
    for value in column:
        flat = value.values.flatten() if pa.types.is_fixed_size_list(value.values.type) else value.values
        yield flat.to_numpy().reshape(-1, _dimension(column.type))


def _dimension(kind: pa.DataType) -> int:
    return int(kind.list_size if pa.types.is_fixed_size_list(kind) else kind.value_type.list_size)


def _vectors(table: Any, strategy: str) -> Iterator[tuple[np.ndarray, np.ndarray | None]]:
    """All vectors, a batch of rows at a time; for keys by step also where each row's vectors start."""
    column = VECTOR + strategy
    for batch in table.search().select([column]).to_batches():
        values = batch.column(column)
        if not len(values):
            continue
        starts = None
        if is_by_step(table.schema, strategy):
            counts = values.value_lengths().to_numpy()
            starts = np.concatenate([[0], np.cumsum(counts[counts > 0])[:-1]])
            values = values.flatten()
        if len(values):
            yield values.flatten().to_numpy().reshape(len(values), -1), starts
