"""Documents beside trajectories: reference text (the current documentation of an API) in the bank's own place.

A record is a LangChain `Document` (id, page_content, metadata). Documents lie in a table of their own beside the table of
trajectories, are compared by the bank's encoder, and are written under the bank's lock. Unlike an episode, a document may
change: adding one whose id is there replaces it. `name` names the table, so that a bank can hold several collections.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from exprag.bank.documents.rows import (
    CONTENT,
    check_documents,
    condition,
    documents_schema,
    from_payload,
    labels,
    to_payload,
    to_record,
)
from exprag.bank.encoders import checked
from exprag.bank.filters import is_in
from exprag.bank.hop import asynchronous, wait
from exprag.bank.schema import KEY, TABLE, VECTOR
from exprag.bank.search import MODES, search
from exprag.bank.store import guard
from exprag.bank.upkeep import ensure_indices, keep_up
from exprag.bank.versions import check_out, prune
from exprag.bank.view import look
from exprag.errors import BankError, ConfigError
from exprag.text import utf8

if TYPE_CHECKING:
    from langchain_core.documents import Document

    from exprag.bank.bank import Bank
    from exprag.bank.reports import Pruned

DOCUMENTS = "documents"
_BATCH = 4096  # a commit: upkeep after each, so few of them


@dataclass(frozen=True)
class DocumentHit:
    """A document found. `score`: BM25 (lexical) or dot product of unit vectors; higher is nearer."""

    document: Document
    score: float


@dataclass(frozen=True)
class DocumentReport:
    """What became of the documents given: `ids` are theirs, in order; one that was there already, word for word, is
    unchanged."""

    ids: tuple[str, ...] = ()
    added: int = 0
    replaced: int = 0
    unchanged: int = 0

    def __str__(self) -> str:
        return f"{self.added} added, {self.replaced} replaced, {self.unchanged} unchanged"


class Documents:
    """A collection of documents in a bank. The table is made at the first `add`; before, the collection is empty.

    `version` pins it to what it held then (its versions are not the bank's). A bank opened at a version is read-only, and so
    are its documents.
    """

    def __init__(self, bank: Bank, name: str = DOCUMENTS, *, version: int | str | None = None) -> None:
        if not re.fullmatch(r"[A-Za-z][\w-]*", name) or name == TABLE:
            raise ConfigError(f"{name!r} cannot name a collection of documents.", cure="Use a letter, then letters and digits.")
        self.bank = bank
        self.name = name
        self.pinned = version
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

        `where`: metadata that they must have, nested as it is there: {"source": "api.md"}; of a list, one element. It applies
        before the search. `mode` as in `Bank.search`. By words, only documents that share one are found.
        """
        if mode not in MODES or (mode in ("vector", "hybrid") and not self.bank.dimension):
            raise ConfigError(f"mode is one of {', '.join(MODES)}, and a lexical bank has no vectors; given: {mode!r}.")
        if not text.strip():
            return []
        vector = None
        if self.bank.dimension and mode != "lexical" and self.count():
            encoder = self.bank._load_encoder()
            vector = checked(encoder.encode_query(text), (self.bank.dimension,), encoder.spec)
        words = utf8(text) if vector is None or mode == "hybrid" else None
        return self._ranked(words, vector, k, where)

    def search_by_vector(self, vector: np.ndarray, k: int = 4, where: Mapping[str, Any] | None = None) -> list[DocumentHit]:
        """As `search`, for a vector of the bank's encoder, float32 [dimension]."""
        query = np.asarray(vector, dtype=np.float32)
        return self._ranked(None, checked(query, (self.bank.dimension,), self.bank.encoder), k, where)

    def find(self, ids: Iterable[str]) -> dict[str, Document]:
        """The documents of these ids that are there."""
        table, wanted = self._read(), {utf8(id) for id in ids}
        if table is None or not wanted:
            return {}
        with self._guard("read"):
            rows = table.search().where(is_in("id", wanted)).select(["payload"]).to_arrow()
        documents = (from_payload(payload) for payload in rows["payload"].to_pylist())
        return {str(document.id): document for document in documents}

    def get(self, ids: Iterable[str]) -> list[Document]:
        """The documents of these ids, in their order. Raises BankError naming one that is not there."""
        wanted = list(ids)
        found = self.find(wanted)
        missing = [id for id in wanted if id not in found]
        if missing:
            raise BankError(f"The bank {self.bank.uri} has no document {missing[0]!r} in {self.name!r}.")
        return [found[id] for id in wanted]

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
        table, asked = self._read(), condition(where)
        if table is None:
            return
        with self._guard("read"):
            query = table.search().select(["payload"])
            batches = iter((query.where(asked) if asked else query).to_batches())
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
            there = self._payloads(table, latest)
            fresh = [record for id, record in latest.items() if there.get(utf8(id)) != to_payload(record)]
            unchanged += len(latest) - len(fresh)
            if not fresh:
                continue
            rows = self._rows(fresh, table.schema)
            with self._guard("written to"), self.bank._store.writing():
                table.checkout_latest()
                upsert = table.merge_insert("id").when_matched_update_all().when_not_matched_insert_all()
                done = upsert.execute(rows, on_bad_vectors="null")  # of a document without text
                with suppress(RuntimeError, ValueError, OSError):  # the rows are in; the next write will do it
                    keep_up(table)
            added, replaced = added + done.num_inserted_rows, replaced + done.num_updated_rows
        return DocumentReport(tuple(ids), added, replaced, unchanged)

    def delete(self, which: Iterable[str] | Mapping[str, Any]) -> int:
        """Remove by ids or filter; returns how many there were."""
        asked = condition(which) if isinstance(which, Mapping) else is_in("id", {utf8(id) for id in which})
        if not asked:
            raise BankError("A filter that asks for nothing would delete all documents.", cure="Name ids or metadata.")
        if self._read() is None:
            return 0
        table = self._write()
        with self._guard("written to"), self.bank._store.writing():
            table.checkout_latest()
            count = int(table.count_rows(asked))
            if count:
                table.delete(asked)
        return count

    def optimize(self, prune_older_than: timedelta | None = None) -> Pruned:
        """Merge small writes; with `prune_older_than` give up versions older than that, and free their space."""
        table = self._write()
        with self._guard("optimized"), self.bank._store.writing():
            table.checkout_latest()
            ensure_indices(table)
            return prune(table, prune_older_than)

    # -- within

    def _guard(self, done: str) -> Any:
        return guard(f"The documents {self.name!r} of the bank {self.bank.uri} cannot be {done}")

    def _read(self) -> Any:
        """The table with the commits of other processes, or as pinned; None while there is none."""
        with self._guard("read"):
            if self._table is None:
                try:
                    table = self.bank._store._connect().open_table(self.name)
                except ValueError as error:
                    if "not found" in str(error):
                        return None
                    raise
                check_documents(table.schema, self.name, self.bank)
                if self.pinned is not None:
                    check_out(table, self.pinned, self.bank.uri)
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
            with self._guard("created"), self.bank._store.writing():
                if self._read() is None:
                    self._table = self._create()
        return self._table

    def _create(self) -> Any:
        table = self.bank._store._connect().create_table(self.name, schema=documents_schema(self.bank))
        ensure_indices(table)
        return table

    def _ranked(self, text: str | None, vector: np.ndarray | None, k: int, where: Mapping[str, Any] | None) -> list[DocumentHit]:
        table, asked = self._read(), condition(where)
        with self._guard("searched"):
            k = min(k, 0 if table is None else table.count_rows())
            if k <= 0:
                return []
            ranked = wait(search(asynchronous(table), look(table), CONTENT, text, vector, k, asked))
            found = self._payloads(table, [row.id for row in ranked])
        return [DocumentHit(from_payload(found[row.id]), row.score) for row in ranked if row.id in found]

    def _payloads(self, table: Any, ids: Iterable[str]) -> dict[str, str]:
        """What is stored, by id as the column holds it."""
        with self._guard("read"):
            rows = table.search().where(is_in("id", {utf8(id) for id in ids})).select(["id", "payload"]).to_arrow()
        return dict(zip(rows["id"].to_pylist(), rows["payload"].to_pylist(), strict=True))

    def _rows(self, records: Sequence[dict[str, Any]], schema: pa.Schema) -> pa.Table:
        texts = [record["page_content"] for record in records]
        rows = [
            {
                "id": utf8(record["id"]),
                KEY + CONTENT: utf8(record["page_content"]) or None,
                "labels": labels(record["metadata"]),
                "payload": to_payload(record),
            }
            for record in records
        ]
        told = [i for i, text in enumerate(texts) if text]
        if self.bank.dimension and told:
            encoder = self.bank._load_encoder()
            shape = (len(told), self.bank.dimension)
            for i, vector in zip(told, checked(encoder.encode_keys([texts[i] for i in told]), shape, encoder.spec), strict=True):
                rows[i][VECTOR + CONTENT] = vector
        return pa.Table.from_pylist(rows, schema=schema)
