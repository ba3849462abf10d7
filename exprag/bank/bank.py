"""The experience bank: whole trajectories in a LanceDB table, found by the key of a query strategy.

Adding is idempotent by id, and every add is a whole commit: a writer killed in the middle leaves the bank as it was. One
process writes at a time (a file lock beside a local bank); any number read, each seeing the others' commits, or pinned to
one version. Old versions stay until `optimize(prune_older_than=…)`, so that a run can be repeated on its own bank.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from exprag.bank.encoders import LEXICAL, PROFILES, Encoder, load_encoder, other_encoder, probe, spec_of
from exprag.bank.filters import QUARANTINED, TRUSTED, Filter
from exprag.bank.index import build, check_kind, count_vectors, measure, plan
from exprag.bank.jsonl import import_jsonl
from exprag.bank.keys import by_step
from exprag.bank.reading import Reading
from exprag.bank.reports import AddReport, ImportReport, IndexReport, Pruned
from exprag.bank.schema import Description, bank_schema
from exprag.bank.store import Store, guard
from exprag.bank.trust import condition
from exprag.bank.upkeep import ensure_indices, grow, needed_indices
from exprag.bank.versions import check_out, prune, tag, untag
from exprag.bank.writer import Writer
from exprag.errors import BankError
from exprag.trajectory import Trajectory

if TYPE_CHECKING:
    pass


class Bank(Reading):
    """Make one with `Bank.create`, `Bank.open` or `Bank.open_or_create`.

    `progress`, if it is set, is called with the number of trajectories that `add` or `add_strategy` has read and embedded.
    """

    progress: Callable[[int], None] | None = None

    # -- making one

    @classmethod
    def create(
        cls, uri: str | Path, encoder: str | Encoder = LEXICAL, strategies: Sequence[str] = ("task",), *, index: str = "auto"
    ) -> Bank:
        """A new, empty bank in a folder or at a URI (s3://…, gs://…, az://…).

        `encoder`: a spec or profile (see `exprag.bank.encoders`) or an Encoder. `strategies`: the query strategies whose keys
        it holds; more can follow by `add_strategy`. `index`: the kind of its vector indices, once it has enough rows for any:
        auto (the profile's, or by size), exact (none), ivf_flat, ivf_sq, ivf_rq or ivf_hnsw_sq. Raises BankError where a bank
        or something else lies already.
        """
        from exprag import __version__

        store = Store(uri)
        kinds = {name: by_step(name) for name in strategies}
        loaded = load_encoder(encoder) if isinstance(encoder, str) else encoder
        dimension, beginning = probe(loaded) if loaded else (0, ())
        if check_kind(index) == "auto" and isinstance(encoder, str) and encoder in PROFILES:
            index = PROFILES[encoder][1]
        about = Description(loaded.spec if loaded else LEXICAL, dimension, beginning, __version__, index=index)
        if not strategies:
            raise BankError("A bank needs a query strategy.", cure="Name at least one, for instance 'task'.")
        with store.writing():
            table = store.create(bank_schema(about, kinds))
            ensure_indices(table)
        return cls(store, table, loaded)

    @classmethod
    def open(cls, uri: str | Path, version: int | str | None = None, *, encoder: str | Encoder | None = None) -> Bank:
        """An existing bank; at `version`, a number or a tag's name, it is read-only and stays as it was then.

        `encoder` says where the bank's own encoder is now, if its files have moved; another one is refused. Raises BankError
        for a missing, foreign or damaged bank, one of a newer format, and a version that is gone.
        """
        store = Store(uri)
        table = store.open()
        pinned = check_out(table, version, store.uri) if version is not None else None
        bank = cls(store, table, pinned=pinned)
        if encoder is not None:
            spec = spec_of(encoder) if isinstance(encoder, str) else encoder.spec
            if LEXICAL in (spec, bank.encoder) and spec != bank.encoder:
                raise other_encoder(spec, bank.encoder, store.uri)
            if spec != bank.encoder or not isinstance(encoder, str):
                bank._given_encoder = encoder
                bank._load_encoder()
        if version is None and needed_indices(table):  # its maker was killed between table and index
            with store.writing():
                ensure_indices(table)
        return bank

    @classmethod
    def open_or_create(cls, uri: str | Path, encoder: str | Encoder = LEXICAL, strategies: Sequence[str] = ("task",)) -> Bank:
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

    # -- writing

    def add(self, trajectories: Iterable[Trajectory], *, trust: bool | None = None) -> AddReport:
        """Add those whose id is not there yet; of several with one id the first.

        Large inputs are committed some ten thousand rows at a time; asked again, it goes on where it was stopped. `trust`:
        True, False (quarantined), or None: trusted where the outcome is known (`success` is not None).
        """
        return self._writing().add(trajectories, trust)

    def import_jsonl(self, path: str | Path, *, trust: bool | None = False) -> ImportReport:
        """Add the trajectories of a JSONL file. Lines that do not validate are reported with number; the rest goes in.

        They are quarantined unless `trust` says otherwise, as in `add`: a file may come from anybody.
        """
        return import_jsonl(self, path, trust)

    def delete(self, which: Iterable[str] | Filter) -> int:
        """Remove by ids or filter; returns how many there were. Earlier versions keep them until they are pruned."""
        removed = self._writing().delete(self._meant(which, "delete"))
        self._parsed.clear()
        return removed

    def trust(self, which: Iterable[str] | Filter) -> int:
        """Let searches return these rows, by ids or filter. Returns how many were not trusted before."""
        return self._writing().set_trust(self._meant(which, "trust"), TRUSTED)

    def quarantine(self, which: Iterable[str] | Filter) -> int:
        """Keep these rows, by ids or filter, out of searches. Returns how many were not quarantined before."""
        return self._writing().set_trust(self._meant(which, "quarantine"), QUARANTINED)

    def add_strategy(self, name: str) -> None:
        """Compute and store the keys of one more query strategy for all rows. Nothing happens if it is served already."""
        self._writing().add_strategy(name)

    def optimize(self, prune_older_than: timedelta | None = None) -> Pruned:
        """Merge small writes and bring the indices up to date. `add` does it by itself after many small writes.

        With `prune_older_than` versions older than that are given up, and their space freed: they cannot be opened again. A
        tagged version stays, and all that came after it.
        """
        writer = self._writing()
        with writer.alone("cannot be optimized"):
            ensure_indices(self._table)
            grow(self._table)
            return prune(self._table, prune_older_than)

    def index(self, strategy: str | None = None, kind: str = "") -> list[IndexReport]:
        """Make the vector index of a strategy (default: of all) anew, as its size asks, or of a kind (see `create`).

        `add` makes and remakes indices by itself, of the kind that the bank was made for. Returns what was made, as measured.
        """
        chosen_kind = check_kind(kind or self._described.index)
        writer, reports = self._writing(), []
        with writer.alone("cannot be indexed"):
            ensure_indices(self._table)
            for name in self._embedded(strategy):
                chosen = plan(count_vectors(self._table, name), chosen_kind)
                seconds = build(self._table, name, chosen)
                reports.append(replace(measure(self._table, name, 20), why=chosen.why, seconds=seconds))
        return reports

    def index_report(self, strategy: str | None = None, sample: int = 50) -> list[IndexReport]:
        """How well the vector index of a strategy (default: of all) finds: recall@10 against the exact search and latency, for
        `sample` of the stored keys. Reads all vectors once."""
        with guard(f"The bank {self.uri} cannot be searched"):
            return [measure(self._latest(), name, sample) for name in self._embedded(strategy)]

    # -- versions

    def tag(self, name: str, version: int | None = None) -> int:
        """Name a version (default: the one that is open) and keep it from being pruned; returns its number.

        Raises BankError where the name is taken or the version is gone, ConfigError where it cannot be a name.
        """
        number = self.version if version is None else version
        with guard(f"The bank {self.uri} has no version {number}"), self._store.writing():
            return tag(self._store.open(), name, number)

    def untag(self, name: str) -> None:
        """Take the name away; the version stays until it is pruned."""
        with guard(f"The tag {name!r} of {self.uri} cannot be removed"), self._store.writing():
            untag(self._store.open(), name)

    # -- within

    @property
    def _writer(self) -> Writer:
        return Writer(self._store, self._table, self.dimension, self._load_encoder, self.progress)

    def _writing(self) -> Writer:
        if self.pinned is not None:
            raise BankError(
                f"The bank {self.uri} is opened at version {self.pinned}, which cannot change.", cure="Open it without a version."
            )
        return self._writer

    def _meant(self, which: Iterable[str] | Filter, what: str) -> str:
        where = which if isinstance(which, Filter) else Filter(ids=tuple(which))
        with guard(f"The bank {self.uri} cannot be read"):
            wanted = condition(self._latest().schema, where)
        if not wanted:
            raise BankError(f"A filter that asks for nothing would {what} the whole bank.", cure="Name ids or a column.")
        return wanted

    def _embedded(self, strategy: str | None) -> list[str]:
        if not self.dimension:
            raise BankError(f"The bank {self.uri} is lexical: it has no vectors.", cure="Make a bank with an encoder.")
        return list(self.strategies) if strategy is None else [self._served(self.strategies, strategy)]
