"""The reading side of a bank: what it is, what is in it, and the search."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from exprag.bank.cache import Parsed
from exprag.bank.encoders import Encoder, checked, verified
from exprag.bank.filters import Filter, is_in
from exprag.bank.hop import asynchronous, version_of, wait
from exprag.bank.info import describe_bank
from exprag.bank.reports import BankInfo, Hit, VersionRecord
from exprag.bank.schema import Description, describe, strategies_of
from exprag.bank.search import MODES, search, take
from exprag.bank.store import Store, guard
from exprag.bank.trust import condition, search_condition
from exprag.bank.versions import history, tags
from exprag.bank.view import View, look
from exprag.errors import BankError, ConfigError, closest
from exprag.files import write_jsonl
from exprag.text import utf8
from exprag.trajectory import Trajectory

if TYPE_CHECKING:
    import numpy as np

    from exprag.bank.exclusion import Exclusion


class Reading:
    """One open bank, at its latest version or pinned to one."""

    def __init__(self, store: Store, table: Any, encoder: Encoder | None = None, *, pinned: int | None = None) -> None:
        self._store = store
        self._table = table
        self._described: Description = describe(table.schema, store.uri)
        self._given_encoder: str | Encoder | None = None
        self._known_encoder = encoder
        self._parsed = Parsed()
        self._view: View | None = None
        self._stamp: int | None = None  # of the view
        self.pinned = pinned

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
            view = self._unchanged(self._stamp_now())
            return view.version if view else int(self._latest().version)

    def __len__(self) -> int:
        return self.count()

    def __bool__(self) -> bool:
        return True  # an empty bank is a bank

    def __repr__(self) -> str:
        return f"Bank({self.uri!r}, encoder={self.encoder!r}, version={self.version}, rows={len(self)})"

    def count(self, where: Filter | None = None) -> int:
        """Rows that fit the filter."""
        with guard(f"The bank {self.uri} cannot be read"):
            table = self._latest()
            return int(table.count_rows(condition(table.schema, where) or None))

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
        mode: str = "auto",
    ) -> list[Hit]:
        """The k trajectories whose keys of the strategy (default: the bank's first) are nearest to the text, best first.

        Equal scores are ordered by id: the same version gives the same answer. Filter and exclusion apply before the search,
        so they never make the answer shorter than k while rows are left. Quarantined rows are not found unless the filter
        asks for them.

        `mode`: "vector"; "lexical" (BM25 of words; rows that share no word are not found); "hybrid", both fused by reciprocal
        rank; "auto", vector where the bank has vectors, else lexical.
        """
        if mode not in MODES:
            raise ConfigError(f"mode is one of {', '.join(MODES)}; not {mode!r}.")
        with guard(f"The bank {self.uri} cannot be searched"):
            view = self._look()
            name = self._served(view.strategies, strategy)
            by_vector = mode in ("vector", "hybrid") or (mode == "auto" and self.dimension > 0)
            by_text = mode in ("lexical", "hybrid") or not by_vector
            if by_vector and not self.dimension:
                raise BankError(
                    f"The bank {self.uri} is lexical: it has no vectors for the mode {mode!r}.",
                    cure="Use 'auto' or 'lexical', or make a bank with an encoder.",
                )
            if by_text and name not in view.texts:
                raise BankError(
                    f"The bank {self.uri} has no full-text index for the mode {mode!r}.", cure=f"exprag bank optimize {self.uri}"
                )
            if k <= 0 or not text.strip() or not view.rows:
                return []
            vector = None
            if by_vector:
                encoder = self._load_encoder()
                vector = checked(encoder.encode_query(text), (self.dimension,), encoder.spec)
            while True:
                wanted = search_condition(view, where, exclude)
                hits = wait(self._search(view, name, utf8(text) if by_text else None, vector, k, wanted))
                if hits is not None:
                    return hits
                self._stamp = None  # another thread has moved the table on, and places of rows with it
                view = self._look()

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
            table = self._latest()
            query = table.search().select(["payload"])
            wanted = condition(table.schema, where)
            batches = iter((query.where(wanted) if wanted else query).to_batches())
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

    def tags(self) -> dict[str, int]:
        """Version by name, the oldest first."""
        with guard(f"The tags of the bank {self.uri} cannot be read"):
            return tags(self._latest())

    def history(self, limit: int | None = 20) -> list[VersionRecord]:
        """The latest versions that are still there, newest first: when each was made, by what, and how many rows it has."""
        with guard(f"The bank {self.uri} cannot be read"):
            return history(self._store.open(), limit)

    # -- within

    def _latest(self) -> Any:
        """The table with the commits of other processes, or as pinned. Looked for once in each operation: the look costs
        more with every version that is kept."""
        if self.pinned is None:
            self._table.checkout_latest()
        return self._table

    def _served(self, served: tuple[str, ...], strategy: str | None) -> str:
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
        found = self._known(ids)
        if wanted := set(ids) - set(found):
            rows = table.search().where(is_in("id", wanted)).select(["id", "payload"]).to_arrow()
            found |= self._parse(zip(rows["id"].to_pylist(), rows["payload"].to_pylist(), strict=True))
        return found

    def _look(self) -> View:
        """The view of the latest version, or of the pinned one. The table is asked only where there may be a newer one."""
        stamp = self._stamp_now()
        if view := self._unchanged(stamp):
            return view
        version = wait(version_of(asynchronous(self._table), latest=self.pinned is None))
        if self._view is None or self._view.version != version:
            self._view = look(self._table)
        self._stamp = stamp
        return self._view

    def _stamp_now(self) -> int | None:
        return self._store.stamp() if self.pinned is None else 0

    def _unchanged(self, stamp: int | None) -> View | None:
        """The last view, where it is certain that nothing was committed since."""
        return self._view if stamp is not None and stamp == self._stamp else None

    async def _search(
        self, view: View, strategy: str, text: str | None, vector: np.ndarray | None, k: int, condition: str
    ) -> list[Hit] | None:
        """The hits; None where the table is not, or no longer, at the view's version."""
        table = asynchronous(self._table)
        try:
            ranked = await search(table, view, strategy, text, vector, k, condition)
            found = self._known([row.id for row in ranked])
            found |= self._parse((row.id, row.payload) for row in ranked if row.payload is not None and row.id not in found)
            if wanted := {row.row: row.id for row in ranked if row.id not in found}:
                payloads = await take(table, list(wanted), "payload")
                found |= self._parse((id, payloads[row][0]) for row, id in wanted.items())
        except (RuntimeError, ValueError):
            if int(await table.version()) == view.version:
                raise
            return None
        if int(await table.version()) != view.version:
            return None
        return [Hit(found[row.id], row.score, row.step) for row in ranked]

    def _known(self, ids: Iterable[str]) -> dict[str, Trajectory]:
        return {id: cached for id in ids if (cached := self._parsed.get(id)) is not None}

    def _parse(self, payloads: Iterable[tuple[str, str]]) -> dict[str, Trajectory]:
        found = {}
        for id, payload in payloads:
            found[id] = Trajectory.from_json(payload)
            self._parsed.put(id, found[id])
        return found
