"""The experience bank: whole trajectories in a LanceDB table, found by the key of a query strategy.

Adding is idempotent by id, and every add is a whole commit: a writer killed in the middle leaves the bank as it was. One
process writes at a time (a file lock beside a local bank); any number read, each seeing the others' commits, or pinned to
one version. Old versions stay until `optimize(prune_older_than=…)`, so that a run can be repeated on its own bank.

A `Bank` is the public face: the work is done by a `Reader` and a `Writer` over the table of one `Store`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from exprag.bank import files, versions
from exprag.bank.encoders import LEXICAL, BankEncoder, Encoder, describe_encoder
from exprag.bank.filters import QUARANTINED, TRUSTED, Filter
from exprag.bank.index import check_kind, ensure_indices, resume_upkeep
from exprag.bank.keys import by_step
from exprag.bank.reader import Reader
from exprag.bank.reports import AddReport, BankInfo, Hit, ImportReport, IndexReport, Pruned, VersionRecord, describe_bank
from exprag.bank.schema import TABLE, Description, bank_schema, describe, strategies_of
from exprag.bank.store import Store, guard
from exprag.bank.writer import Writer
from exprag.errors import BankError
from exprag.trajectory import Trajectory

if TYPE_CHECKING:
    import numpy as np

    from exprag.bank.documents.collection import Documents
    from exprag.bank.exclusion import Exclusion


class Bank:
    """An open bank. Make one with `Bank.create`, `Bank.open` or `Bank.open_or_create`.

    `pinned` is the version that it was opened at, None for the latest. `progress`, if it is set, is called with the number of
    trajectories that `add` or `add_strategy` has read and embedded.
    """

    progress: Callable[[int], None] | None = None

    def __init__(self, store: Store, table: Any, encoder: Encoder | None = None, *, pinned: int | None = None) -> None:
        self.store = store
        self.pinned = pinned
        self.description: Description = describe(table.schema, store.uri)
        self._encoder = BankEncoder(self.description, store.uri, encoder)
        self._reader = Reader(store, table, pinned, self._encoder)
        self._documents: dict[str, Documents] = {}

    @classmethod
    def create(
        cls, uri: str | Path, encoder: str | Encoder = LEXICAL, strategies: Sequence[str] = ("task",), *, index: str = "auto"
    ) -> Bank:
        """A new, empty bank in a folder or at a URI (s3://…, gs://…, az://…).

        `encoder`: a spec or profile (see `exprag.bank.encoders`) or an Encoder. `strategies`: the query strategies whose keys
        it holds; more can follow by `add_strategy`. `index`: the kind of its vector indices, once it has enough rows for any:
        auto (the profile's, or by size), exact (none), ivf_flat, ivf_sq, ivf_rq or ivf_hnsw_sq. Raises BankError where a bank
        or something else lies already; what a killed `create` left does not count.
        """
        store = Store(uri)
        if not strategies:
            raise BankError("A bank needs a query strategy.", cure="Name at least one, for instance 'task'.")
        kinds = {name: by_step(name) for name in strategies}
        loaded, about = describe_encoder(encoder, check_kind(index))
        with store.writing():
            return cls(store, store.create(bank_schema(about, kinds), ensure_indices), loaded)

    @classmethod
    def open(cls, uri: str | Path, version: int | str | None = None, *, encoder: str | Encoder | None = None) -> Bank:
        """An existing bank; at `version`, a number or a tag's name, it is read-only and stays as it was then.

        `encoder` says where the bank's own encoder is now, if its files have moved; another one is refused. Raises BankError
        for a missing, foreign or damaged bank, one of a newer format, and a version that is gone.
        """
        store = Store(uri)
        table = store.open()
        pinned = versions.check_out(table, version, store.uri) if version is not None else None
        bank = cls(store, table, pinned=pinned)
        if encoder is not None:
            bank._encoder.use(encoder)
        if version is None:
            resume_upkeep(store, table, TABLE)
        return bank

    @classmethod
    def open_or_create(cls, uri: str | Path, encoder: str | Encoder = LEXICAL, strategies: Sequence[str] = ("task",)) -> Bank:
        """The bank at `uri` with these strategies, made or completed as needed, also where another process makes it at the same
        moment. Raises BankError if its encoder is another."""
        if not cls.exists(uri):
            try:
                return cls.create(uri, encoder, strategies)
            except BankError:
                if not cls.exists(uri):
                    raise
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
        return self.store.uri

    @property
    def encoder(self) -> str:
        """The spec of the encoder that it was made with."""
        return self.description.encoder

    @property
    def dimension(self) -> int:
        """Numbers in a key's vector; 0 for a lexical bank."""
        return self.description.dimension

    @property
    def table(self) -> Any:
        """The LanceDB table at the latest version, or as pinned: to read columns from. To write, use the methods of the bank."""
        return self._reader.latest()

    @property
    def strategies(self) -> tuple[str, ...]:
        """The query strategies whose keys it holds."""
        return strategies_of(self.table.schema)

    @property
    def version(self) -> int:
        """Grows with every commit. What a version held can be read again by `Bank.open(uri, version)`."""
        return self._reader.version()

    def load_encoder(self) -> Encoder:
        """The encoder, loaded at first need and compared with the one that the bank was made with: seconds."""
        return self._encoder.load()

    def query_vector(self, text: str) -> np.ndarray:
        """float32 [dimension]: the vector of a query text, checked. The latest texts are embedded once, whoever asks."""
        return self._encoder.query_vector(text)

    def documents(self, name: str = "documents") -> Documents:
        """A collection of documents in the bank's place, opened once (see `exprag.bank.documents`)."""
        from exprag.bank.documents.collection import Documents

        return self._documents.setdefault(name, Documents(self, name))

    def __len__(self) -> int:
        return self.count()

    def __bool__(self) -> bool:
        return True  # an empty bank is a bank

    def __repr__(self) -> str:
        return f"Bank({self.uri!r}, encoder={self.encoder!r}, version={self.version}, rows={len(self)})"

    def count(self, where: Filter | None = None) -> int:
        """Rows that fit the filter."""
        return self._reader.count(where)

    def info(self) -> BankInfo:
        """Counts by column, encoder, version and size."""
        with guard(f"The bank {self.uri} cannot be read"):
            return describe_bank(self.table, self.description, self.store)

    # -- reading

    def search(
        self,
        text: str,
        *,
        strategy: str | None = None,
        k: int = 10,
        where: Filter | None = None,
        exclude: Exclusion | None = None,
        mode: str = "auto",
    ) -> list[Hit]:
        """The k trajectories whose keys of the strategy (default: the bank's first) are nearest to the text, best first.

        Equal scores are ordered by id: the same version gives the same answer. Filter and exclusion apply before the search,
        so they never make the answer shorter than k while rows are left. Quarantined rows are returned only where the filter
        asks for them.

        `mode`: "vector"; "lexical" (BM25 of words; rows that share no word are not found); "hybrid", both fused by reciprocal
        rank; "auto", vector where the bank has vectors, else lexical.
        """
        return self._reader.search(text, strategy, k, where, exclude, mode)

    def get(self, ids: Iterable[str]) -> list[Trajectory]:
        """The trajectories of these ids, in their order. Raises BankError naming those that are not there."""
        return self._reader.get(ids)

    def trajectories(self, where: Filter | None = None) -> Iterator[Trajectory]:
        """All that fit the filter, of one version, read a batch at a time."""
        return self._reader.scan(where)

    def __iter__(self) -> Iterator[Trajectory]:
        return self.trajectories()

    def export_jsonl(self, path: str | Path, where: Filter | None = None) -> int:
        """Write all that fit the filter, one trajectory a line; the file appears whole. Returns the number of lines."""
        return files.export_jsonl(self, path, where)

    # -- writing

    def writing(self) -> AbstractContextManager[None]:
        """Hold the writer's lock: in a local bank no other process writes meanwhile, and this thread may."""
        return self.store.writing()

    def writer(self) -> Writer:
        """The write side, for parts of the framework that write rows of their own making. Raises BankError in a pinned bank."""
        if self.pinned is not None:
            message = f"The bank {self.uri} is opened at version {self.pinned}, which cannot change."
            raise BankError(message, cure="Open it without a version.")
        return Writer(self.store, self._reader.table, self.dimension, self.load_encoder, self.progress)

    def add(self, trajectories: Iterable[Trajectory], *, trust: bool | None = None) -> AddReport:
        """Add those whose id is not there yet; of several with one id the first.

        Large inputs are committed some ten thousand rows at a time; called again, it goes on where it was stopped. `trust`:
        True, False (quarantined), or None: trusted where the outcome is known (`success` is not None).
        """
        return self.writer().add(trajectories, trust)

    def import_jsonl(self, path: str | Path, *, trust: bool | None = False) -> ImportReport:
        """Add our own records of a file. What does not fit is reported by number; quarantined unless `trust` says otherwise."""
        return files.import_file(self, path, format="exprag", trust=trust)

    import_file = files.import_file  # likewise, of files in any format that exprag.traces reads

    def delete(self, which: Iterable[str] | Filter) -> int:
        """Remove by ids or filter; returns how many there were. Earlier versions hold them until they are pruned."""
        removed = self.writer().delete(which)
        self._reader.forget()
        return removed

    def trust(self, which: Iterable[str] | Filter) -> int:
        """Let searches return these rows, by ids or filter. Returns how many were not trusted before."""
        return self.writer().set_trust(which, TRUSTED)

    def quarantine(self, which: Iterable[str] | Filter) -> int:
        """Exclude these rows, by ids or filter, from searches. Returns how many were not quarantined before."""
        return self.writer().set_trust(which, QUARANTINED)

    def add_strategy(self, name: str) -> None:
        """Compute and store the keys of one more query strategy for all rows. Nothing happens if the bank holds them already."""
        self.writer().add_strategy(name)

    def optimize(self, prune_older_than: timedelta | None = None) -> Pruned:
        """Merge small writes and bring the indices up to date. `add` does it by itself after many small writes.

        With `prune_older_than` versions older than that are deleted, and their space freed: they cannot be opened again. A
        tagged version stays, and all that came after it.
        """
        return self.writer().optimize(prune_older_than)

    def index(self, strategy: str | None = None, kind: str = "") -> list[IndexReport]:
        """Rebuild the vector index of a strategy (default: of all), as its size asks, or of a kind (see `create`).

        `add` builds and rebuilds indices by itself, of the kind that the bank was made for. Returns what was built, as measured.
        """
        return self.writer().index(self._reader.embedded(strategy), check_kind(kind or self.description.index))

    def index_report(self, strategy: str | None = None, sample: int = 50) -> list[IndexReport]:
        """How well the vector index of a strategy (default: of all) finds: recall@10 against the exact search and latency, for
        `sample` of the stored keys. Reads all vectors once."""
        return self._reader.measure(strategy, sample)

    def tags(self) -> dict[str, int]:
        """Version by name, the oldest first."""
        with guard(f"The tags of {self.uri} cannot be read"):
            return versions.tags(self.table)

    def history(self, limit: int | None = 20) -> list[VersionRecord]:
        """The latest versions that are still there, newest first: when each was made, by what, and how many rows it has."""
        with guard(f"The bank {self.uri} cannot be read"):
            return versions.history(self.store.open(), limit)

    def tag(self, name: str, version: int | None = None) -> int:
        """Name a version (default: the one that is open) and protect it from being pruned; returns its number.

        Raises BankError where the name is taken or the version is gone, ConfigError where it cannot be a name.
        """
        number = self.version if version is None else version
        with guard(f"The bank {self.uri} has no version {number}"), self.writing():
            return versions.tag(self.store.open(), name, number)

    def untag(self, name: str) -> None:
        """Remove the name; the version stays until it is pruned."""
        with guard(f"The tag {name!r} of {self.uri} cannot be removed"), self.writing():
            versions.untag(self.store.open(), name)
