"""Documents beside trajectories: reference text (the current documentation of an API) in the bank's own place.

A record is a LangChain `Document` (id, page_content, metadata). Documents lie in a table of their own beside the table of
trajectories, are compared by the bank's encoder, and are written under the bank's lock. Unlike an episode, a document may
change: adding one whose id is there replaces it. `name` names the table, so that a bank can hold several collections.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import timedelta
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np

from exprag.bank.documents.rows import (
    CONTENT,
    check_documents,
    condition,
    documents_schema,
    from_payload,
    to_payload,
    to_record,
    to_rows,
)
from exprag.bank.encoders import checked
from exprag.bank.filters import is_in
from exprag.bank.index import Upkeep, ensure_indices, fit_tokenizers, resume_upkeep
from exprag.bank.reports import DocumentHit, DocumentReport
from exprag.bank.schema import TABLE, VECTOR, collections_of
from exprag.bank.search import MODES, look, search
from exprag.bank.store import asynchronous, guard, wait
from exprag.bank.versions import check_out, note_collection, prune
from exprag.errors import BankError, ConfigError
from exprag.text import utf8

if TYPE_CHECKING:
    from langchain_core.documents import Document

    from exprag.bank.bank import Bank
    from exprag.bank.reports import Pruned

DOCUMENTS = "documents"
_BATCH = 4096  # a commit: upkeep after each, so few of them


class Documents:
    """A collection of documents in a bank (`Bank.documents`). The table is made at the first `add`; before, it is empty.

    Its versions are not the bank's. Each write makes a version of the bank too, which notes the collection's: a bank opened at a
    version is read-only, and so are its documents, as they were then. (A version of the bank from before that was noted reads the
    latest.) `version` pins the collection alone.
    """

    def __init__(self, bank: Bank, name: str = DOCUMENTS, *, version: int | str | None = None) -> None:
        if not re.fullmatch(r"[A-Za-z][\w-]*", name) or name == TABLE:
            raise ConfigError(f"{name!r} cannot name a collection of documents.", cure="Use a letter, then letters and digits.")
        self.bank = bank
        self.name = name
        noted = collections_of(bank.table.schema) if version is None and bank.pinned is not None else None
        self.pinned = version if noted is None else noted.get(name, 0)
        self._table: Any = None

    @property
    def version(self) -> int:
        """Grows with every commit; 0 while there is no table."""
        table = self._read()
        return 0 if table is None else int(table.version)

    def __len__(self) -> int:
        return self.count()

    def __bool__(self) -> bool:
        return True  # an empty collection is a collection

    def count(self, where: Mapping[str, Any] | None = None) -> int:
        """Documents that fit the filter, see `search`."""
        table = self._read()
        with self._guard("read"):
            return 0 if table is None else int(table.count_rows(condition(where) or None))

    def search(self, text: str, k: int = 4, where: Mapping[str, Any] | None = None, *, mode: str = "auto") -> list[DocumentHit]:
        """The k documents nearest to the text, best first, equal scores by id.

        `where`: metadata that they must have, nested as in the document: {"source": "api.md"}; of a list, one element. It applies
        before the search. `mode` as in `Bank.search`. By words, only documents that share one are found.
        """
        if mode not in MODES or (mode in ("vector", "hybrid") and not self.bank.dimension):
            raise ConfigError(f"mode is one of {', '.join(MODES)}, and a lexical bank has no vectors; not {mode!r}.")
        if not text.strip():
            return []
        vector = None
        if self.bank.dimension and mode != "lexical" and self.count():
            vector = self.bank.query_vector(text)
        words = utf8(text) if vector is None or mode == "hybrid" else None
        return self._ranked(words, vector, k, where)

    def search_by_vector(self, vector: np.ndarray, k: int = 4, where: Mapping[str, Any] | None = None) -> list[DocumentHit]:
        """As `search`, for a vector of the bank's encoder, float32 [dimension]."""
        query = np.asarray(vector, dtype=np.float32)
        return self._ranked(None, checked(query, (self.bank.dimension,), self.bank.encoder), k, where)

    def find(self, ids: Iterable[str]) -> dict[str, Document]:
        """The documents of these ids that are there."""
        table, names = self._read(), {utf8(id) for id in ids}
        if table is None or not names:
            return {}
        with self._guard("read"):
            rows = table.search().where(is_in("id", names)).select(["payload"]).to_arrow()
        documents = (from_payload(payload) for payload in rows["payload"].to_pylist())
        return {str(document.id): document for document in documents}

    def get(self, ids: Iterable[str]) -> list[Document]:
        """The documents of these ids, in their order. Raises BankError naming one that is not there."""
        names = list(ids)
        documents = self.find(names)
        missing = [id for id in names if id not in documents]
        if missing:
            raise BankError(f"The bank {self.bank.uri} has no document {missing[0]!r} in {self.name!r}.")
        return [documents[id] for id in names]

    def vectors(self, ids: Sequence[str]) -> dict[str, np.ndarray]:
        """Vectors (float32 [dimension]) by id, of those that have one."""
        table, column = self._read(), VECTOR + CONTENT
        if table is None or not self.bank.dimension or not ids:
            return {}
        with self._guard("read"):
            rows = table.search().where(is_in("id", ids)).select(["id", column]).to_arrow().to_pylist()
        return {row["id"]: np.asarray(row[column], dtype=np.float32) for row in rows if row[column] is not None}

    def documents(self, where: Mapping[str, Any] | None = None) -> Iterator[Document]:
        """All that fit the filter, of one version, read a batch at a time."""
        table, rows = self._read(), condition(where)
        if table is None:
            return
        with self._guard("read"):
            query = table.search().select(["payload"])
            batches = iter((query.where(rows) if rows else query).to_batches())
        while True:
            with self._guard("read"):
                batch = next(batches, None)
            if batch is None:
                return
            yield from map(from_payload, batch.column("payload").to_pylist())

    def __iter__(self) -> Iterator[Document]:
        return self.documents()

    def add(self, documents: Iterable[Document]) -> DocumentReport:
        """Add documents, or replace those whose id is there; of several with one id the last. Each batch is a whole commit.

        A document without an id gets one made from its content, so that adding it twice is adding it once. One without text
        can be got by its id, but no search finds it. Raises RecordError for metadata that is not JSON.
        """
        table = self._write()
        supply = iter(documents)
        ids: list[str] = []
        added = replaced = unchanged = 0
        while batch := list(islice(supply, _BATCH)):
            records = [to_record(document) for document in batch]
            ids += [record["id"] for record in records]
            latest = {record["id"]: record for record in records}  # embedding is slow: each id once, and only if it changed
            stored = self._payloads(table, latest)
            fresh = [record for id, record in latest.items() if stored.get(utf8(id)) != to_payload(record)]
            unchanged += len(latest) - len(fresh)
            if not fresh:
                continue
            rows = to_rows(fresh, table.schema, self.bank)
            with self._guard("written to"), self.bank.writing():
                table.checkout_latest()
                upkeep = Upkeep(table, self.bank.store.upkeep_note(self.name))
                upkeep.begin()
                fit_tokenizers(table, rows)
                upsert = table.merge_insert("id").when_matched_update_all().when_not_matched_insert_all()
                counts = upsert.execute(rows, on_bad_vectors="null")  # of a document without text
                with suppress(RuntimeError, ValueError, OSError):  # the rows are in; the next process completes it
                    upkeep.complete()
            added, replaced = added + counts.num_inserted_rows, replaced + counts.num_updated_rows
        self._note(table)
        return DocumentReport(tuple(ids), added, replaced, unchanged)

    def delete(self, which: Iterable[str] | Mapping[str, Any]) -> int:
        """Remove by ids or filter; returns how many there were."""
        rows = condition(which) if isinstance(which, Mapping) else is_in("id", {utf8(id) for id in which})
        if not rows:
            raise BankError("A filter that asks for nothing would delete all documents.", cure="Name ids or metadata.")
        if self._read() is None:
            return 0
        table = self._write()
        with self._guard("written to"), self.bank.writing():
            table.checkout_latest()
            count = int(table.count_rows(rows))
            if count:
                table.delete(rows)
        self._note(table)
        return count

    def optimize(self, prune_older_than: timedelta | None = None) -> Pruned:
        """Merge small writes; with `prune_older_than` delete versions older than that, and free their space."""
        table = self._write()
        with self._guard("optimized"), self.bank.writing():
            table.checkout_latest()
            ensure_indices(table)
            fit_tokenizers(table)
            pruned = prune(table, prune_older_than, alone=self.bank.store.local is not None)
        self._note(table)
        return pruned

    # -- within

    def _note(self, table: Any) -> None:
        """Have the bank say that this version goes with it, unless it does: also one that a killed writer left."""
        if self._noted() != table.version:
            with self.bank.writer().alone("cannot be written to"):
                table.checkout_latest()
                if self._noted() != table.version:
                    note_collection(self.bank.table, self.bank.store.connect(), self.name, int(table.version))

    def _noted(self) -> int | None:
        return (collections_of(self.bank.table.schema) or {}).get(self.name)

    def _guard(self, verb: str) -> Any:
        return guard(f"The documents {self.name!r} of the bank {self.bank.uri} cannot be {verb}")

    def _read(self) -> Any:
        """The table with the commits of other processes, or as pinned; None while there is none."""
        if self.pinned == 0:
            return None
        with self._guard("read"):
            if self._table is None:
                try:
                    table = self.bank.store.connect().open_table(self.name)
                except ValueError as error:
                    if "not found" in str(error):
                        return None
                    raise
                check_documents(table.schema, self.name, self.bank)
                if self.pinned is not None:
                    check_out(table, self.pinned, f"{self.bank.uri} ({self.name})")
                elif self.bank.pinned is None:
                    resume_upkeep(self.bank.store, table, self.name)
                self._table = table
            elif self.pinned is None:
                self._table.checkout_latest()
        return self._table

    def _write(self) -> Any:
        if self.bank.pinned is not None or self.pinned is not None:
            raise BankError(
                f"The bank {self.bank.uri} or its documents are opened at a version, which cannot change.",
                cure="Open them without a version.",
            )
        if self._read() is None:
            with self._guard("created"), self.bank.writing():
                if self._read() is None:
                    self._table = self.bank.store.make_table(self.name, documents_schema(self.bank), ensure_indices)
        return self._table

    def _ranked(self, text: str | None, vector: np.ndarray | None, k: int, where: Mapping[str, Any] | None) -> list[DocumentHit]:
        table, rows = self._read(), condition(where)
        with self._guard("searched"):
            k = min(k, 0 if table is None else table.count_rows())
            if k <= 0:
                return []
            ranked = wait(search(asynchronous(table), look(table), CONTENT, text, vector, k, rows))
            payloads = self._payloads(table, [row.id for row in ranked])
        return [DocumentHit(from_payload(payloads[row.id]), row.score) for row in ranked if row.id in payloads]

    def _payloads(self, table: Any, ids: Iterable[str]) -> dict[str, str]:
        """What is stored, by id as the column holds it."""
        with self._guard("read"):
            rows = table.search().where(is_in("id", {utf8(id) for id in ids})).select(["id", "payload"]).to_arrow()
        return dict(zip(rows["id"].to_pylist(), rows["payload"].to_pylist(), strict=True))
