"""Writing to a bank: rows, keys of strategies, trust. Everything here holds the writer's lock."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from itertools import islice
from typing import Any

import pyarrow as pa

from exprag.bank.encoders import Encoder
from exprag.bank.filters import QUARANTINED, TRUST, TRUSTED, Filter, both, is_in, literal, row_condition, trust_word
from exprag.bank.index import Upkeep, build, count_vectors, ensure_indices, fit_tokenizers, grow, plan
from exprag.bank.keys import by_step, columns_of
from exprag.bank.measure import measure
from exprag.bank.reports import AddReport, IndexReport, Pruned
from exprag.bank.schema import KEY, is_by_step, key_fields, strategies_of, to_rows
from exprag.bank.store import Store, guard
from exprag.bank.versions import prune
from exprag.bank.words import count_wordless
from exprag.errors import BankError
from exprag.text import utf8
from exprag.trajectory import Trajectory

_BATCH = 256  # trajectories embedded and turned into Arrow at a time
_COMMIT_ROWS = 16_384
_COMMIT_BYTES = 128 * 2**20
_MANY_IDS = 2_048  # above, reading the id column is quicker than looking each up
_BUILDING = "building_"


class Writer:
    """The write side of one open bank. `encoder` gives the (checked) encoder of a bank with vectors; `progress` is called with
    the number of trajectories that have been read and embedded so far."""

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
        self.progress = progress or (lambda count: None)
        self.upkeep = Upkeep(table, store.upkeep_note())

    def add(self, trajectories: Iterable[Trajectory], trust: bool | None) -> AddReport:
        with guard(f"The bank {self.store.uri} cannot be written to"):
            self.table.checkout_latest()
            if TRUST not in self.table.schema.names or self.upkeep.interrupted:
                with self.alone("cannot be written to"):  # completes the table before rows are made for it
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
                    pending.append(self.rows(fresh, [trust_word(t, trust) for t in fresh]))
                read += total
                self.progress(read)
                if sum(len(b) for b in pending) >= _COMMIT_ROWS or sum(b.nbytes for b in pending) >= _COMMIT_BYTES:
                    report += self.commit(pending)
                    pending = []
            if pending:
                report += self.commit(pending)
        return report

    def delete(self, which: Iterable[str] | Filter) -> int:
        with self.alone("cannot be written to"):
            condition = self._condition(which, "delete")
            count = int(self.table.count_rows(condition))
            if count:
                self.table.delete(condition)
            return count

    def set_trust(self, which: Iterable[str] | Filter, word: str) -> int:
        """Give these rows the word; returns how many had another."""
        with self.alone("cannot be written to"):
            condition = self._condition(which, "trust" if word == TRUSTED else "quarantine")
            others = both(condition, f"{TRUST} != {literal(word)} OR {TRUST} IS NULL")
            ids = self.table.search().where(others).select(["id"]).to_arrow()["id"]
            if len(ids):
                rows = pa.table({"id": ids, TRUST: pa.array([word] * len(ids), pa.string())})
                # only this column is written: an update would write whole rows again, and take them out of their indices
                self.upkeep.begin()
                self.table.merge_insert("id").when_matched_update_all().execute(rows)
                self._keep_up()
            return len(ids)

    def optimize(self, prune_older_than: timedelta | None) -> Pruned:
        with self.alone("cannot be optimized"):
            ensure_indices(self.table)
            fit_tokenizers(self.table)
            grow(self.table)
            return prune(self.table, prune_older_than, alone=self.store.local is not None)

    def index(self, strategies: Sequence[str], kind: str) -> list[IndexReport]:
        """Build the vector index of each strategy again, and measure it."""
        reports = []
        with self.alone("cannot be indexed"):
            ensure_indices(self.table)
            for name in strategies:
                new = plan(count_vectors(self.table, name), kind)
                seconds = build(self.table, name, new)
                reports.append(replace(measure(self.table, name, 20), why=new.why, seconds=seconds))
        return reports

    def add_strategy(self, name: str) -> None:
        """Keys are built in columns of another name and renamed in one commit: a half-built strategy is never served."""
        fields = key_fields(name, self.dimension, by_step(name), _BUILDING)
        with self.alone("cannot be written to"):
            if name in strategies_of(self.table.schema):
                return
            leftovers = [column for column in self.table.schema.names if column.startswith(_BUILDING)]
            if leftovers:  # of a killed writer
                self.table.drop_columns(leftovers)
            self.upkeep.begin()
            self.table.add_columns(fields)
            if self.table.count_rows():
                self._fill(name, pa.schema([pa.field("id", pa.string()), *fields]))
            renames = [{"path": field.name, "rename": field.name.removeprefix(_BUILDING)} for field in fields]
            self.table.alter_columns(*renames)
            ensure_indices(self.table)
            self._keep_up()

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
        """As the only writer, from the latest commit on, in a table of this format, with all earlier upkeep complete."""
        with guard(f"The bank {self.store.uri} {what}"), self.store.writing():
            self.table.checkout_latest()
            if TRUST not in self.table.schema.names:
                self.table.add_columns({TRUST: literal(TRUSTED)})
            if self.upkeep.interrupted:
                self._keep_up()
            yield

    def _keep_up(self) -> tuple[str, ...]:
        """Upkeep after a write. The rows are in: what cannot be done now (a full disk, a race on object storage) the next write
        or the next process that opens the bank will do."""
        try:
            return self.upkeep.complete()
        except (RuntimeError, ValueError, OSError):
            return ()

    def rows(self, trajectories: Sequence[Trajectory], words: Sequence[str]) -> pa.RecordBatch:
        """The Arrow rows of trajectories, with their keys embedded; `words`: trusted or quarantined, row for row."""
        schema = self.table.schema
        columns: dict[str, pa.Array] = {}
        for name in strategies_of(schema):
            columns |= columns_of(name, is_by_step(schema, name), trajectories, self.encoder, self.dimension)
        return to_rows(trajectories, words, columns, schema)

    def commit(self, batches: list[pa.RecordBatch]) -> AddReport:
        """Write those rows whose id is not there yet, in one commit."""
        with self.alone("cannot be written to"):
            rows = pa.Table.from_batches(batches)
            if rows.schema.names != self.table.schema.names:  # another process has added a strategy meanwhile
                trajectories = [Trajectory.from_json(text) for text in rows["payload"].to_pylist()]
                rows = pa.Table.from_batches([self.rows(trajectories, rows[TRUST].to_pylist())])
            ids = rows["id"].to_pylist()
            present = self._present(ids)
            is_new = []
            for id in ids:
                is_new.append(id not in present)
                present.add(id)
            if not all(is_new):
                rows = rows.filter(pa.array(is_new))
            notes: tuple[str, ...] = ()
            if len(rows):
                self.upkeep.begin()
                notes = fit_tokenizers(self.table, rows) + _wordless(rows)
                self.table.add(rows)
                notes += self._keep_up()
        return AddReport(len(rows), len(ids) - len(rows), rows[TRUST].to_pylist().count(QUARANTINED), notes)

    def _condition(self, which: Iterable[str] | Filter, verb: str) -> str:
        """The rows that are meant, as SQL. Raises BankError for a filter that would mean all of them."""
        condition = row_condition(self.table.schema, which if isinstance(which, Filter) else Filter(ids=tuple(which)))
        if not condition:
            raise BankError(f"A filter that asks for nothing would {verb} the whole bank.", cure="Name ids or a column.")
        return condition

    def _present(self, ids: Sequence[str]) -> set[str]:
        query = self.table.search().select(["id"])
        if len(ids) <= _MANY_IDS:
            query = query.where(is_in("id", set(ids)))
        return set(query.to_arrow()["id"].to_pylist())


def _wordless(rows: pa.Table) -> tuple[str, ...]:
    """A line for each strategy with keys that no search by words can find. (Of a strategy by step a few such keys are usual.)"""
    names = [name for name in strategies_of(rows.schema) if not is_by_step(rows.schema, name)]
    counts = {name: count_wordless(rows[KEY + name]) for name in names}
    return tuple(f"{count} keys of {name} hold no word that can be indexed" for name, count in counts.items() if count)


def _batches(trajectories: Iterable[Trajectory]) -> Iterator[list[Trajectory]]:
    supply = iter(trajectories)
    while batch := list(islice(supply, _BATCH)):
        for item in batch:
            if not isinstance(item, Trajectory):
                raise BankError(f"A bank holds trajectories, not {type(item).__name__}.", cure="Use Trajectory.from_dict.")
        yield batch
