"""Reading a bank's table: its latest version or a pinned one, searches, and trajectories by id.

Several threads may read at once. Each search holds on to one version: where another thread has moved the table on in between,
it is repeated.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from threading import Lock
from typing import TYPE_CHECKING, Any

from cachetools import LRUCache

from exprag.bank.filters import is_in, row_condition, search_condition
from exprag.bank.measure import measure
from exprag.bank.reports import Hit, IndexReport
from exprag.bank.schema import strategies_of
from exprag.bank.search import MODES, View, look, search, take
from exprag.bank.store import Store, asynchronous, guard, version_of, wait
from exprag.bank.words import SPACED, is_unspaced
from exprag.errors import BankError, ConfigError, closest
from exprag.text import utf8
from exprag.trajectory import Trajectory

if TYPE_CHECKING:
    import numpy as np

    from exprag.bank.encoders import BankEncoder
    from exprag.bank.exclusion import Exclusion
    from exprag.bank.filters import Filter

log = logging.getLogger("exprag.bank")

_PARSED = 512  # trajectories held in memory: an agent meets the same few again at every step


class Reader:
    """The read side of one open bank. `pinned` is the version that it stays at; None: each operation sees the latest."""

    def __init__(self, store: Store, table: Any, pinned: int | None, encoder: BankEncoder) -> None:
        self.store = store
        self.table = table
        self.pinned = pinned
        self.encoder = encoder
        self._parsed: LRUCache[str, Trajectory] = LRUCache(_PARSED)
        self._lock = Lock()  # of the cache
        self._view: View | None = None
        self._stamp: int | None = None  # of the view
        self._mute: set[str] = set()  # strategies of which a warning was logged

    def latest(self) -> Any:
        """The table with the commits of other processes, or as pinned. Called once in each operation: looking for commits
        takes longer the more versions are kept."""
        with guard(f"The bank {self.store.uri} cannot be read"):
            if self.pinned is None:
                self.table.checkout_latest()
            return self.table

    def version(self) -> int:
        with guard(f"The bank {self.store.uri} cannot be read"):
            view = self._unchanged(self._stamp_now())
            return view.version if view else int(self.latest().version)

    def view(self) -> View:
        """The view of the latest version, or of the pinned one. The table is asked only where there may be a newer one."""
        stamp = self._stamp_now()
        if view := self._unchanged(stamp):
            return view
        version = wait(version_of(asynchronous(self.table), latest=self.pinned is None))
        if self._view is None or self._view.version != version:
            self._view = look(self.table)
        self._stamp = stamp
        return self._view

    def served(self, strategies: Sequence[str], strategy: str | None) -> str:
        """The strategy, or the first. Raises BankError where the bank holds no keys of it."""
        name = strategies[0] if strategy is None else strategy
        if name not in strategies:
            raise BankError(
                f"The bank {self.store.uri} holds no keys of the query strategy {name!r}.",
                cure=f"{closest(name, list(strategies))} To add it: exprag bank add-strategy {self.store.uri} {name}",
            )
        return name

    def embedded(self, strategy: str | None) -> list[str]:
        """The strategy, or all. Raises BankError in a bank without vectors."""
        if not self.encoder.dimension:
            raise BankError(f"The bank {self.store.uri} is lexical: it has no vectors.", cure="Make a bank with an encoder.")
        strategies = strategies_of(self.latest().schema)
        return list(strategies) if strategy is None else [self.served(strategies, strategy)]

    def search(
        self, text: str, strategy: str | None, k: int, where: Filter | None, exclude: Exclusion | None, mode: str
    ) -> list[Hit]:
        """See `Bank.search`."""
        if mode not in MODES:
            raise ConfigError(f"mode is one of {', '.join(MODES)}; not {mode!r}.")
        uri, dimension = self.store.uri, self.encoder.dimension
        with guard(f"The bank {uri} cannot be searched"):
            view = self.view()
            name = self.served(view.strategies, strategy)
            by_vector = mode in ("vector", "hybrid") or (mode == "auto" and dimension > 0)
            by_text = mode in ("lexical", "hybrid") or not by_vector
            if by_vector and not dimension:
                raise BankError(
                    f"The bank {uri} is lexical: it has no vectors for the mode {mode!r}.",
                    cure="Use 'auto' or 'lexical', or make a bank with an encoder.",
                )
            if by_text and name not in view.texts:
                raise BankError(
                    f"The bank {uri} has no full-text index for the mode {mode!r}.", cure=f"exprag bank optimize {uri}"
                )
            if k <= 0 or not text.strip() or not view.rows:
                return []
            if by_text:
                self._warn(view, name, text)
            vector = self.encoder.query_vector(text) if by_vector else None
            words = utf8(text) if by_text else None
            while True:
                condition = search_condition(view.schema, where, exclude, all_trusted=view.trusted)
                hits = wait(self._search(view, name, words, vector, k, condition))
                if hits is not None:
                    return hits
                self._stamp = None  # another thread has moved the table on, and places of rows with it
                view = self.view()

    def get(self, ids: Iterable[str]) -> list[Trajectory]:
        """See `Bank.get`."""
        names = [utf8(id) for id in ids]
        with guard(f"The bank {self.store.uri} cannot be read"):
            trajectories = self.fetch(names)
        missing = [id for id in names if id not in trajectories]
        if missing:
            more = f" (and {len(missing) - 3} more)" if len(missing) > 3 else ""
            raise BankError(f"The bank {self.store.uri} has no trajectory {', '.join(map(repr, missing[:3]))}{more}.")
        return [trajectories[id] for id in names]

    def fetch(self, ids: Sequence[str]) -> dict[str, Trajectory]:
        """Trajectories by id, each parsed once; ids that are not there are left out."""
        table, trajectories = self.latest(), self._cached(ids)
        if missing := set(ids) - set(trajectories):
            rows = table.search().where(is_in("id", missing)).select(["id", "payload"]).to_arrow()
            trajectories |= self._parse(zip(rows["id"].to_pylist(), rows["payload"].to_pylist(), strict=True))
        return trajectories

    def count(self, where: Filter | None) -> int:
        with guard(f"The bank {self.store.uri} cannot be read"):
            table = self.latest()
            return int(table.count_rows(row_condition(table.schema, where) or None))

    def measure(self, strategy: str | None, sample: int) -> list[IndexReport]:
        with guard(f"The bank {self.store.uri} cannot be searched"):
            return [measure(self.latest(), name, sample) for name in self.embedded(strategy)]

    def scan(self, where: Filter | None) -> Iterator[Trajectory]:
        """All rows that fit the filter, of one version, read a batch at a time."""
        failed = f"The bank {self.store.uri} cannot be read"
        with guard(failed):
            table = self.latest()
            condition = row_condition(table.schema, where)
            query = table.search().select(["payload"])
            batches = iter((query.where(condition) if condition else query).to_batches())
        while True:
            with guard(failed):
                batch = next(batches, None)
            if batch is None:
                return
            for payload in batch.column("payload"):
                yield Trajectory.from_json(payload.as_py())

    def forget(self) -> None:
        """Drop the trajectories held in memory: some have been removed from the bank."""
        with self._lock:
            self._parsed.clear()

    def _warn(self, view: View, strategy: str, text: str) -> None:
        """Log once where the words of a query cannot be found because the keys are divided into words at blanks alone."""
        if strategy not in self._mute and view.texts[strategy] == SPACED and is_unspaced(text):
            self._mute.add(strategy)
            log.warning(
                "The query is in a language written without blanks, and the bank %s holds no keys of %s that are indexed for "
                "such. If it is older and has some: exprag bank optimize %s",
                self.store.uri,
                strategy,
                self.store.uri,
            )

    def _stamp_now(self) -> int | None:
        return self.store.stamp() if self.pinned is None else 0

    def _unchanged(self, stamp: int | None) -> View | None:
        """The last view, where it is certain that nothing was committed since."""
        return self._view if stamp is not None and stamp == self._stamp else None

    async def _search(
        self, view: View, strategy: str, text: str | None, vector: np.ndarray | None, k: int, condition: str
    ) -> list[Hit] | None:
        """The hits; None where the table is not, or no longer, at the view's version."""
        table = asynchronous(self.table)
        try:
            ranked = await search(table, view, strategy, text, vector, k, condition)
            records = self._cached([row.id for row in ranked])
            records |= self._parse((row.id, row.payload) for row in ranked if row.payload is not None and row.id not in records)
            if missing := {row.row: row.id for row in ranked if row.id not in records}:
                payloads = await take(table, list(missing), "payload")
                records |= self._parse((id, payloads[row][0]) for row, id in missing.items())
        except (RuntimeError, ValueError):
            if int(await table.version()) == view.version:
                raise
            return None
        if int(await table.version()) != view.version:
            return None
        return [Hit(records[row.id], row.score, row.step) for row in ranked]

    def _cached(self, ids: Iterable[str]) -> dict[str, Trajectory]:
        with self._lock:
            return {id: self._parsed[id] for id in ids if id in self._parsed}

    def _parse(self, payloads: Iterable[tuple[str, str]]) -> dict[str, Trajectory]:
        records = {id: Trajectory.from_json(payload) for id, payload in payloads}
        with self._lock:
            self._parsed.update(records)
        return records
