"""Writing to a bank: rows, keys of strategies, indices, compaction. Everything here holds the writer's lock."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import timedelta
from functools import lru_cache
from itertools import islice
from typing import Any

import pyarrow as pa

from exprag.bank.encoders import Encoder, checked
from exprag.bank.reports import AddReport
from exprag.bank.schema import KEY, key_columns, key_fields, strategies_of, to_rows
from exprag.bank.store import Store, guard
from exprag.bank.where import is_in, utf8
from exprag.errors import BankError, ConfigError, ExpragError, RetrievalError
from exprag.retrieval.contracts import QueryStrategy
from exprag.trajectory import Trajectory

_BATCH = 256  # trajectories embedded and turned into Arrow at a time
_COMMIT_ROWS = 16_384
_COMMIT_BYTES = 128 * 2**20
# Upkeep merges small writes and rewrites the table for it, so it waits for some. What waiting costs a search, measured: 0.1 ms
# a fragment (a fragment is a write), and 0.1 ms a row outside the full-text index where keys are whole trajectories.
_FEW, _MANY, _SHARE = 32, 256, 128
_MANY_IDS = 2_048  # above, reading the id column is quicker than looking each up
_BUILDING = "building_"
_KEEP_ALL = timedelta(days=36_500)


class Writer:
    """The write side of one open bank. `encoder` gives the (checked) encoder of a bank with vectors."""

    def __init__(self, store: Store, table: Any, dimension: int, encoder: Callable[[], Encoder]) -> None:
        self.store = store
        self.table = table
        self.dimension = dimension
        self.encoder = encoder

    def add(self, trajectories: Iterable[Trajectory]) -> AddReport:
        with guard(f"The bank {self.store.uri} cannot be written to"):
            self.table.checkout_latest()
            report = AddReport()
            pending: list[pa.RecordBatch] = []
            for batch in _batches(trajectories):
                total = len(batch)
                # embedding is slow: not for rows that are there already, and not while others wait for the lock
                present = self._present([utf8(t.id) for t in batch]) if self.dimension else set()
                fresh = [t for t in batch if utf8(t.id) not in present]
                report += AddReport(0, total - len(fresh))
                if fresh:
                    pending.append(self._rows(fresh))
                if sum(len(b) for b in pending) >= _COMMIT_ROWS or sum(b.nbytes for b in pending) >= _COMMIT_BYTES:
                    report += self._commit(pending)
                    pending = []
            if pending:
                report += self._commit(pending)
        return report

    def delete(self, condition: str) -> int:
        with guard(f"The bank {self.store.uri} cannot be written to"), self._alone():
            count = int(self.table.count_rows(condition))
            if count:
                self.table.delete(condition)
            return count

    def add_strategy(self, name: str) -> None:
        """Keys are built in columns of another name and renamed in one commit: a half-built strategy is never served."""
        strategy = strategy_plugin(name)
        with guard(f"The bank {self.store.uri} cannot be written to"), self._alone():
            if name in strategies_of(self.table.schema):
                return
            left_over = [column for column in self.table.schema.names if column.startswith(_BUILDING)]
            if left_over:  # of a killed writer
                self.table.drop_columns(left_over)
            fields = key_fields(name, self.dimension, _BUILDING)
            self.table.add_columns(fields)
            if self.table.count_rows():
                self._fill(name, strategy, pa.schema([pa.field("id", pa.string()), *fields]))
            renames = [{"path": field.name, "rename": field.name.removeprefix(_BUILDING)} for field in fields]
            self.table.alter_columns(*renames)
            self.ensure_indices()

    def _fill(self, name: str, strategy: QueryStrategy, schema: pa.Schema) -> None:
        keys = []
        for rows in self.table.search().select(["id", "payload"]).to_batches():
            trajectories = [Trajectory.from_json(payload) for payload in rows.column("payload").to_pylist()]
            columns = self._keys(name, strategy, trajectories, _BUILDING)
            keys.append(pa.RecordBatch.from_arrays([rows.column("id"), *columns.values()], schema=schema))
        self.table.merge_insert("id").when_matched_update_all().execute(pa.Table.from_batches(keys, schema))

    def optimize(self, prune_older_than: timedelta | None = None) -> None:
        with guard(f"The bank {self.store.uri} cannot be optimized"), self._alone():
            self.ensure_indices()
            self.table.optimize(cleanup_older_than=_KEEP_ALL if prune_older_than is None else prune_older_than)

    def ensure_indices(self) -> None:
        """Full text on the keys of a lexical bank, and the id. Vectors are compared exactly."""
        from lancedb.index import FTS, BTree

        for column in self.missing_indices():
            self.table.create_index(column, config=FTS() if column.startswith(KEY) else BTree())

    def missing_indices(self) -> list[str]:
        wanted = ["id"]
        if not self.dimension:
            wanted += [KEY + name for name in strategies_of(self.table.schema)]
        indexed = {column for index in self.table.list_indices() for column in index.columns}
        return [column for column in wanted if column not in indexed]

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """As the only writer, from the latest commit on."""
        with self.store.writing():
            self.table.checkout_latest()
            yield

    def _rows(self, trajectories: Sequence[Trajectory]) -> pa.RecordBatch:
        schema = self.table.schema
        columns: dict[str, pa.Array] = {}
        for name in strategies_of(schema):
            columns |= self._keys(name, strategy_plugin(name), trajectories)
        return to_rows(trajectories, columns, schema)

    def _keys(
        self, name: str, strategy: QueryStrategy, trajectories: Sequence[Trajectory], prefix: str = ""
    ) -> dict[str, pa.Array]:
        texts = [key_of(name, strategy, trajectory) for trajectory in trajectories]
        vectors = None
        if self.dimension:
            encoder = self.encoder()
            vectors = checked(encoder.encode_keys(texts), (len(texts), self.dimension), encoder.spec)
        return key_columns(name, [utf8(text) for text in texts], vectors, prefix)

    def _present(self, ids: Sequence[str]) -> set[str]:
        query = self.table.search().select(["id"])
        if len(ids) <= _MANY_IDS:
            query = query.where(is_in("id", set(ids)))
        return set(query.to_arrow()["id"].to_pylist())

    def _commit(self, batches: list[pa.RecordBatch]) -> AddReport:
        with self._alone():
            rows = pa.Table.from_batches(batches)
            if rows.schema.names != self.table.schema.names:  # another process has added a strategy meanwhile
                rows = pa.Table.from_batches([self._rows([Trajectory.from_json(text) for text in rows["payload"].to_pylist()])])
            ids = rows["id"].to_pylist()
            seen = self._present(ids)
            keep = []
            for id in ids:
                keep.append(id not in seen)
                seen.add(id)
            if any(keep):
                self.table.add(rows if all(keep) else rows.filter(pa.array(keep)))
                # the rows are in; what upkeep could not do now (a full disk, a race on object storage) the next write will
                with suppress(RuntimeError, ValueError, OSError):
                    self._upkeep()
        return AddReport(sum(keep), len(keep) - sum(keep))

    def _upkeep(self) -> None:
        stats = self.table.stats()
        fragments, share = stats["fragment_stats"]["num_fragments"], stats["num_rows"] // _SHARE
        unindexed = (self.table.index_stats(index.name).num_unindexed_rows for index in self.table.list_indices())
        if fragments >= max(_FEW, min(_MANY, share)) or max(unindexed, default=0) >= max(_FEW, share):
            self.table.optimize(cleanup_older_than=_KEEP_ALL)


@lru_cache(maxsize=64)
def strategy_plugin(name: str) -> QueryStrategy:
    """The plugin of a query strategy with its default options, under whose name a bank holds keys."""
    from exprag.plugins import create

    if not re.fullmatch(r"\w[\w-]*", name):
        raise ConfigError(f"{name!r} cannot name the keys of a bank.", cure="Use the short name of a query strategy.")
    strategy = create("query_strategy", name)
    if not isinstance(strategy, QueryStrategy):
        raise RetrievalError(f"The query strategy {name!r} is a {type(strategy).__name__}, not a QueryStrategy.")
    return strategy


def key_of(name: str, strategy: QueryStrategy, trajectory: Trajectory) -> str:
    """The strategy's key. Raises RetrievalError naming the plugin where it raises or gives no text."""
    try:
        key = strategy.key(trajectory)
    except ExpragError:
        raise
    except Exception as error:
        raise RetrievalError(
            f"The query strategy {name!r} raised {type(error).__name__} for the key of trajectory {trajectory.id!r}: {error}."
        ) from error
    if not isinstance(key, str):
        raise RetrievalError(f"The query strategy {name!r} gave a {type(key).__name__} as key; it must give text.")
    return key


def _batches(trajectories: Iterable[Trajectory]) -> Iterator[list[Trajectory]]:
    supply = iter(trajectories)
    while batch := list(islice(supply, _BATCH)):
        for item in batch:
            if not isinstance(item, Trajectory):
                raise BankError(f"A bank holds trajectories, not {type(item).__name__}.", cure="Use Trajectory.from_dict.")
        yield batch
