"""The experience bank: whole trajectories in a LanceDB table, found by the key of a query strategy.

Adding is idempotent by id, and every add is a whole commit: a writer killed in the middle leaves the bank as it was. One
process writes at a time (a file lock beside a local bank); any number read, each seeing the others' commits, or pinned to
one version. Old versions stay until `optimize(prune_older_than=…)`, so that a run can be repeated on its own bank.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from exprag.bank.cache import Parsed
from exprag.bank.encoders import LEXICAL, Encoder, checked, load_encoder, other_encoder, probe, verified
from exprag.bank.info import describe_bank
from exprag.bank.jsonl import import_jsonl
from exprag.bank.reports import AddReport, BankInfo, Hit, ImportReport
from exprag.bank.schema import KEY, VECTOR, Description, bank_schema, describe, strategies_of
from exprag.bank.search import rank
from exprag.bank.store import Store, guard
from exprag.bank.where import Filter, both, is_in, utf8
from exprag.bank.writer import Writer, strategy_plugin
from exprag.errors import BankError, closest
from exprag.trajectory import Trajectory, write_jsonl

if TYPE_CHECKING:
    from exprag.retrieval.exclusion import Exclusion


class Bank:
    """Make one with `Bank.create`, `Bank.open` or `Bank.open_or_create`."""

    def __init__(self, store: Store, table: Any, encoder: Encoder | None = None, *, pinned: int | None = None) -> None:
        self._store = store
        self._table = table
        self._described: Description = describe(table.schema, store.uri)
        self._given_encoder: str | Encoder | None = None
        self._known_encoder = encoder
        self._parsed = Parsed()
        self.pinned = pinned

    # -- making one

    @classmethod
    def create(cls, uri: str | Path, encoder: str | Encoder = LEXICAL, strategies: Sequence[str] = ("task",)) -> Bank:
        """A new, empty bank in a folder or at a URI (s3://…, gs://…, az://…).

        `encoder`: a spec (see `exprag.bank.encoders`) or an Encoder. `strategies`: the query strategies whose keys it holds;
        more can follow by `add_strategy`. Raises BankError where a bank or something else lies already.
        """
        from exprag import __version__

        store = Store(uri)
        for name in strategies:
            strategy_plugin(name)
        loaded = load_encoder(encoder) if isinstance(encoder, str) else encoder
        dimension, beginning = probe(loaded) if loaded else (0, ())
        about = Description(loaded.spec if loaded else LEXICAL, dimension, beginning, __version__)
        if not strategies:
            raise BankError("A bank needs a query strategy.", cure="Name at least one, for instance 'task'.")
        with store.writing():
            table = store.create(bank_schema(about, tuple(dict.fromkeys(strategies))))
            bank = cls(store, table, loaded)
            bank._writer.ensure_indices()
        return bank

    @classmethod
    def open(cls, uri: str | Path, version: int | None = None, *, encoder: str | Encoder | None = None) -> Bank:
        """An existing bank; at `version` it is read-only and stays as it was then.

        `encoder` says where the bank's own encoder is now, if its files have moved; another one is refused. Raises BankError
        for a missing, foreign or damaged bank, one of a newer format, and a version that is gone.
        """
        store = Store(uri)
        table = store.open()
        if version is not None:
            with guard(f"The bank {store.uri} has no version {version}", cure=f"It is at version {table.version}."):
                table.checkout(version)
        bank = cls(store, table, pinned=version)
        if encoder is not None:
            spec = encoder if isinstance(encoder, str) else encoder.spec
            if LEXICAL in (spec, bank.encoder) and spec != bank.encoder:
                raise other_encoder(spec, bank.encoder, store.uri)
            if spec != bank.encoder or not isinstance(encoder, str):
                bank._given_encoder = encoder
                bank._load_encoder()
        if version is None and bank._writer.missing_indices():  # its maker was killed between table and index
            with store.writing():
                bank._writer.ensure_indices()
        return bank

    @classmethod
    def open_or_create(
        cls, uri: str | Path, encoder: str | Encoder = LEXICAL, strategies: Sequence[str] = ("task",)
    ) -> Bank:
        """The bank at `uri` with these strategies, made or completed as needed. Raises BankError if its encoder is another."""
        if not cls.exists(uri):
            return cls.create(uri, encoder, strategies)
        bank = cls.open(uri, encoder=encoder)
        for name in strategies:
            if name not in bank.strategies:
                bank.add_strategy(name)
        return bank

    @staticmethod
    def exists(uri: str | Path) -> bool:
        """Whether there is a table of a bank's name at this place."""
        return Store(uri).exists()

    # -- what it is

    @property
    def uri(self) -> str:
        return self._store.uri

    @property
    def encoder(self) -> str:
        """The spec of the encoder that it was made with."""
        return self._described.encoder

    @property
    def dimension(self) -> int:
        """Numbers in a key's vector; 0 for a lexical bank."""
        return self._described.dimension

    @property
    def strategies(self) -> tuple[str, ...]:
        with guard(f"The bank {self.uri} cannot be read"):
            return strategies_of(self._latest().schema)

    @property
    def version(self) -> int:
        """Grows with every commit. What a version held can be read again by `Bank.open(uri, version)`."""
        with guard(f"The bank {self.uri} cannot be read"):
            return int(self._latest().version)

    def __len__(self) -> int:
        return self.count()

    def __bool__(self) -> bool:
        return True  # an empty bank is a bank

    def __repr__(self) -> str:
        return f"Bank({self.uri!r}, encoder={self.encoder!r}, version={self.version}, rows={len(self)})"

    def count(self, where: Filter | None = None) -> int:
        """Rows that fit the filter."""
        with guard(f"The bank {self.uri} cannot be read"):
            return int(self._latest().count_rows((where.to_where() if where else "") or None))

    def info(self) -> BankInfo:
        """Counts by column, encoder, version and size."""
        with guard(f"The bank {self.uri} cannot be read"):
            return describe_bank(self._latest(), self._described, self._store)

    # -- reading

    def search(
        self,
        text: str,
        *,
        strategy: str | None = None,
        k: int = 10,
        where: Filter | None = None,
        exclude: Exclusion | None = None,
    ) -> list[Hit]:
        """The k trajectories whose keys of the strategy (default: the bank's first) are nearest to the text, best first.

        Equal scores are ordered by id: the same version gives the same answer. Filter and exclusion apply before the search,
        so they never make the answer shorter than k while rows are left. A lexical bank finds only rows that share a word.
        """
        with guard(f"The bank {self.uri} cannot be searched"):
            table = self._latest()
            name = self._served(table, strategy)
            if k <= 0 or not text.strip() or not table.count_rows():
                return []
            query: str | np.ndarray = utf8(text)
            column = KEY + name
            if self.dimension:
                encoder = self._load_encoder()
                query, column = checked(encoder.encode_query(text), (self.dimension,), encoder.spec), VECTOR + name
            condition = both(where.to_where() if where else "", exclude.to_where() if exclude else "")
            ranked = rank(table, column, query, k, condition)
            found = self._fetch(table, [id for id, _ in ranked])
        return [Hit(found[id], score) for id, score in ranked if id in found]

    def get(self, ids: Iterable[str]) -> list[Trajectory]:
        """The trajectories of these ids, in their order. Raises BankError naming those that are not there."""
        wanted = [utf8(id) for id in ids]
        with guard(f"The bank {self.uri} cannot be read"):
            found = self._fetch(self._latest(), wanted)
        missing = [id for id in wanted if id not in found]
        if missing:
            more = f" (and {len(missing) - 3} more)" if len(missing) > 3 else ""
            raise BankError(f"The bank {self.uri} has no trajectory {', '.join(map(repr, missing[:3]))}{more}.")
        return [found[id] for id in wanted]

    def trajectories(self, where: Filter | None = None) -> Iterator[Trajectory]:
        """All that fit the filter, of one version, read a batch at a time."""
        with guard(f"The bank {self.uri} cannot be read"):
            query = self._latest().search().select(["payload"])
            condition = where.to_where() if where else ""
            batches = iter((query.where(condition) if condition else query).to_batches())
        while True:
            with guard(f"The bank {self.uri} cannot be read"):
                batch = next(batches, None)
            if batch is None:
                return
            for payload in batch.column("payload"):
                yield Trajectory.from_json(payload.as_py())

    def __iter__(self) -> Iterator[Trajectory]:
        return self.trajectories()

    def export_jsonl(self, path: str | Path, where: Filter | None = None) -> int:
        """Write all that fit the filter, one trajectory a line; the file appears whole. Returns the number of lines."""
        with guard(f"The file {path} cannot be written"):
            return write_jsonl(path, self.trajectories(where))

    # -- writing

    def add(self, trajectories: Iterable[Trajectory]) -> AddReport:
        """Add those whose id is not there yet; of several with one id the first.

        Large inputs are committed some ten thousand rows at a time; asked again, it goes on where it was stopped.
        """
        return self._writing().add(trajectories)

    def import_jsonl(self, path: str | Path) -> ImportReport:
        """Add the trajectories of a JSONL file. Lines that do not validate are reported with number; the rest goes in."""
        return import_jsonl(self, path)

    def delete(self, which: Iterable[str] | Filter) -> int:
        """Remove by ids or filter; returns how many there were. Earlier versions keep them until they are pruned."""
        where = which if isinstance(which, Filter) else Filter(ids=tuple(which))
        condition = where.to_where()
        if not condition:
            raise BankError("A filter that asks for nothing would delete the whole bank.", cure="Name ids or a column.")
        removed = self._writing().delete(condition)
        self._parsed.clear()
        return removed

    def add_strategy(self, name: str) -> None:
        """Compute and store the keys of one more query strategy for all rows. Nothing happens if it is served already."""
        self._writing().add_strategy(name)

    def optimize(self, prune_older_than: timedelta | None = None) -> None:
        """Merge small writes and bring the indices up to date. `add` does it by itself after many small writes.

        With `prune_older_than` the versions of before are given up, and their space freed: they cannot be opened again.
        """
        self._writing().optimize(prune_older_than)

    # -- within

    @property
    def _writer(self) -> Writer:
        return Writer(self._store, self._table, self.dimension, self._load_encoder)

    def _writing(self) -> Writer:
        if self.pinned is not None:
            raise BankError(
                f"The bank {self.uri} is opened at version {self.pinned}, which cannot change.", cure="Open it without a version."
            )
        return self._writer

    def _latest(self) -> Any:
        """The table with the commits of other processes, or as pinned. Looked for once in each operation: the look costs
        more with every version that is kept."""
        if self.pinned is None:
            self._table.checkout_latest()
        return self._table

    def _served(self, table: Any, strategy: str | None) -> str:
        served = strategies_of(table.schema)
        name = served[0] if strategy is None else strategy
        if name not in served:
            raise BankError(
                f"The bank {self.uri} holds no keys of the query strategy {name!r}.",
                cure=f"{closest(name, list(served))} To add it: exprag bank add-strategy {self.uri} {name}",
            )
        return name

    def _load_encoder(self) -> Encoder:
        """The encoder, loaded at first need and compared with the one that the bank was made with."""
        if self._known_encoder is None:
            self._known_encoder = verified(self._given_encoder or self.encoder, self._described, self.uri)
        return self._known_encoder

    def _fetch(self, table: Any, ids: Sequence[str]) -> dict[str, Trajectory]:
        """Trajectories by id, parsed once; ids that are not there are left out."""
        found = {id: cached for id in ids if (cached := self._parsed.get(id)) is not None}
        wanted = set(ids) - set(found)
        if wanted:
            rows = table.search().where(is_in("id", wanted)).select(["id", "payload"]).to_arrow()
            for id, payload in zip(rows["id"].to_pylist(), rows["payload"].to_pylist(), strict=True):
                found[id] = Trajectory.from_json(payload)
                self._parsed.put(id, found[id])
        return found

