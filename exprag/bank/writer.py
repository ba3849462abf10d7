"""Writing to a bank: rows, keys of strategies, trust. Everything here holds the writer's lock."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import islice
from typing import Any

import pyarrow as pa

from exprag.bank.encoders import Encoder
from exprag.bank.filters import QUARANTINED, TRUSTED, both, is_in, literal
from exprag.bank.keys import by_step, columns_of
from exprag.bank.reports import AddReport
from exprag.bank.schema import TRUST, is_by_step, key_fields, strategies_of, to_rows
from exprag.bank.store import Store, guard
from exprag.bank.trust import word_for
from exprag.bank.upkeep import ensure_indices, keep_up
from exprag.errors import BankError
from exprag.text import utf8
from exprag.trajectory import Trajectory

_BATCH = 256  # trajectories embedded and turned into Arrow at a time
_COMMIT_ROWS = 16_384
_COMMIT_BYTES = 128 * 2**20
_MANY_IDS = 2_048  # above, reading the id column is quicker than looking each up
_BUILDING = "building_"


class Writer:
    """The write side of one open bank. `encoder` gives the (checked) encoder of a bank with vectors; `progress` is told how
    many trajectories have been read and embedded so far."""

    def __init__(
        self,
        store: Store,
        table: Any,
        dimension: int,
        encoder: Callable[[], Encoder],
        progress: Callable[[int], None] | None = None,
    ) -> None:
        self.store = store
        self.table = table
        self.dimension = dimension
        self.encoder = encoder if dimension else None
        self.progress = progress or (lambda done: None)

    def add(self, trajectories: Iterable[Trajectory], trust: bool | None) -> AddReport:
        with guard(f"The bank {self.store.uri} cannot be written to"):
            self.table.checkout_latest()
            if TRUST not in self.table.schema.names:
                with self.alone("cannot be written to"):  # of format 1: completed before rows are made for it
                    pass
            report = AddReport()
            pending: list[pa.RecordBatch] = []
            read = 0
            for batch in _batches(trajectories):
                total = len(batch)
                # embedding is slow: not for rows that are there already, and not while others wait for the lock
                present = self._present([utf8(t.id) for t in batch]) if self.dimension else set()
                fresh = [t for t in batch if utf8(t.id) not in present]
                report += AddReport(0, total - len(fresh))
                if fresh:
                    pending.append(self.rows(fresh, [word_for(t, trust) for t in fresh]))
                read += total
                self.progress(read)
                if sum(len(b) for b in pending) >= _COMMIT_ROWS or sum(b.nbytes for b in pending) >= _COMMIT_BYTES:
                    report += self.commit(pending)
                    pending = []
            if pending:
                report += self.commit(pending)
        return report

    def delete(self, condition: str) -> int:
        with self.alone("cannot be written to"):
            count = int(self.table.count_rows(condition))
            if count:
                self.table.delete(condition)
            return count

    def set_trust(self, condition: str, word: str) -> int:
        """Give the rows that fit this word; returns how many had another."""
        with self.alone("cannot be written to"):
            others = both(condition, f"{TRUST} != {literal(word)} OR {TRUST} IS NULL")
            ids = self.table.search().where(others).select(["id"]).to_arrow()["id"]
            if len(ids):
                rows = pa.table({"id": ids, TRUST: pa.array([word] * len(ids), pa.string())})
                # only this column is written: an update would write whole rows anew, and take them out of their indices
                self.table.merge_insert("id").when_matched_update_all().execute(rows)
                with suppress(RuntimeError, ValueError, OSError):
                    keep_up(self.table)
            return len(ids)

    def add_strategy(self, name: str) -> None:
        """Keys are built in columns of another name and renamed in one commit: a half-built strategy is never served."""
        fields = key_fields(name, self.dimension, by_step(name), _BUILDING)
        with self.alone("cannot be written to"):
            if name in strategies_of(self.table.schema):
                return
            left_over = [column for column in self.table.schema.names if column.startswith(_BUILDING)]
            if left_over:  # of a killed writer
                self.table.drop_columns(left_over)
            self.table.add_columns(fields)
            if self.table.count_rows():
                self._fill(name, pa.schema([pa.field("id", pa.string()), *fields]))
            renames = [{"path": field.name, "rename": field.name.removeprefix(_BUILDING)} for field in fields]
            self.table.alter_columns(*renames)
            ensure_indices(self.table)

    def _fill(self, name: str, schema: pa.Schema) -> None:
        keys: list[pa.RecordBatch] = []
        for rows in self.table.search().select(["id", "payload"]).to_batches(_BATCH):
            trajectories = [Trajectory.from_json(payload) for payload in rows.column("payload").to_pylist()]
            columns = columns_of(name, by_step(name), trajectories, self.encoder, self.dimension, _BUILDING)
            keys.append(pa.RecordBatch.from_arrays([rows.column("id"), *columns.values()], schema=schema))
            self.progress(sum(map(len, keys)))
        self.table.merge_insert("id").when_matched_update_all().execute(pa.Table.from_batches(keys, schema))

    @contextmanager
    def alone(self, what: str) -> Iterator[None]:
        """As the only writer, from the latest commit on, in a table of this format."""
        with guard(f"The bank {self.store.uri} {what}"), self.store.writing():
            self.table.checkout_latest()
            if TRUST not in self.table.schema.names:
                self.table.add_columns({TRUST: literal(TRUSTED)})
            yield

    def rows(self, trajectories: Sequence[Trajectory], trust: Sequence[str]) -> pa.RecordBatch:
        schema = self.table.schema
        columns: dict[str, pa.Array] = {}
        for name in strategies_of(schema):
            columns |= columns_of(name, is_by_step(schema, name), trajectories, self.encoder, self.dimension)
        return to_rows(trajectories, trust, columns, schema)

    def commit(self, batches: list[pa.RecordBatch]) -> AddReport:
        """Write those rows whose id is not there yet, in one commit."""
        with self.alone("cannot be written to"):
            rows = pa.Table.from_batches(batches)
            if rows.schema.names != self.table.schema.names:  # another process has added a strategy meanwhile
                trajectories = [Trajectory.from_json(text) for text in rows["payload"].to_pylist()]
                rows = pa.Table.from_batches([self.rows(trajectories, rows[TRUST].to_pylist())])
            ids = rows["id"].to_pylist()
            seen = self._present(ids)
            keep = []
            for id in ids:
                keep.append(id not in seen)
                seen.add(id)
            if not all(keep):
                rows = rows.filter(pa.array(keep))
            notes: tuple[str, ...] = ()
            if len(rows):
                self.table.add(rows)
                # the rows are in; what upkeep could not do now (a full disk, a race on object storage) the next write will
                with suppress(RuntimeError, ValueError, OSError):
                    notes = keep_up(self.table)
        return AddReport(len(rows), len(keep) - len(rows), rows[TRUST].to_pylist().count(QUARANTINED), notes)

    def _present(self, ids: Sequence[str]) -> set[str]:
        query = self.table.search().select(["id"])
        if len(ids) <= _MANY_IDS:
            query = query.where(is_in("id", set(ids)))
        return set(query.to_arrow()["id"].to_pylist())


def _batches(trajectories: Iterable[Trajectory]) -> Iterator[list[Trajectory]]:
    supply = iter(trajectories)
    while batch := list(islice(supply, _BATCH)):
        for item in batch:
            if not isinstance(item, Trajectory):
                raise BankError(f"A bank holds trajectories, not {type(item).__name__}.", cure="Use Trajectory.from_dict.")
        yield batch
