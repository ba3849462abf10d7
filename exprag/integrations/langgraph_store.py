"""The bank's place as a LangGraph store: long-term memory of a graph, beside the trajectories and with the bank's encoder.

An item is a document of the collection `memories` (see `exprag.bank.documents.collection`): its page_content is the text that is
searched, its metadata holds namespace, key, value and times. Nothing of it mixes with the bank's other documents.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from langchain_core.documents import Document
from langgraph.store.base import (
    BaseStore,
    GetOp,
    Item,
    ListNamespacesOp,
    MatchCondition,
    Op,
    PutOp,
    Result,
    SearchItem,
    SearchOp,
    get_text_at_path,
)

from exprag.bank.bank import Bank
from exprag.bank.documents.collection import Documents
from exprag.bank.documents.rows import valid_json
from exprag.errors import ConfigError

MEMORIES = "memories"
_GROWTH = 4


class BankStore(BaseStore):
    """`BankStore("bank")` as the `store` of a compiled graph.

    bank     a bank or its path; writing takes its lock
    fields   paths within a value whose text is searched, as in LangGraph's index configuration; default: the whole value.
             The texts of an item are one text here. `index` of a put names other paths, or False for none

    A search with a query ranks by it (`score` as in the bank) and finds items that have a text; one without gives the latest
    written first. Filters of equality apply before the search, comparisons ($gt …) while it is read. Items do not expire.
    """

    def __init__(self, bank: Bank | str | Path, *, fields: Sequence[str] = ("$",), collection: str = MEMORIES) -> None:
        self.bank = bank if isinstance(bank, Bank) else Bank.open(bank)
        self.fields = tuple(fields)
        self.items = Documents(self.bank, collection)

    def batch(self, ops: Iterable[Op]) -> list[Result]:
        """All reads see the store as it was before the writes, which are one commit; of several of one key the last counts."""
        operations = list(ops)
        results: list[Result] = [None] * len(operations)
        puts: dict[str, PutOp] = {}
        gets: dict[int, str] = {}
        for place, op in enumerate(operations):
            if isinstance(op, GetOp):
                gets[place] = _id(op.namespace, op.key)
            elif isinstance(op, SearchOp):
                results[place] = self._search(op)
            elif isinstance(op, ListNamespacesOp):
                results[place] = self._namespaces(op)
            elif isinstance(op, PutOp):
                puts[_id(op.namespace, op.key)] = op
            else:
                raise ConfigError(f"A store takes get, put, search and list operations, not {type(op).__name__}.")
        documents = self.items.find([*gets.values(), *puts])
        for place, id in gets.items():
            results[place] = Item(**_fields(documents[id])) if id in documents else None
        self._put(puts, documents)
        return results

    async def abatch(self, ops: Iterable[Op]) -> list[Result]:
        return await asyncio.to_thread(self.batch, list(ops))

    def _put(self, puts: Mapping[str, PutOp], documents: Mapping[str, Document]) -> None:
        now = datetime.now(UTC).isoformat()
        written = []
        for id, op in puts.items():
            if op.value is not None:
                created = documents[id].metadata["created_at"] if id in documents else now
                value = valid_json(op.value, f"The value of {op.key!r}")
                about = {"namespace": list(op.namespace), "key": op.key, "value": value}
                about |= {"created_at": created, "updated_at": now, "within": _prefixes(op.namespace)}
                written.append(Document(self._text(op, value), id=id, metadata=about))
        removed = [id for id, op in puts.items() if op.value is None and id in documents]
        if written:
            self.items.add(written)
        if removed:
            self.items.delete(removed)

    def _text(self, op: PutOp, value: dict[str, Any]) -> str:
        paths = self.fields if op.index is None else op.index or ()
        return "\n".join(text for path in paths for text in get_text_at_path(value, path))

    def _search(self, op: SearchOp) -> list[SearchItem]:
        filters = op.filter or {}
        where: dict[str, Any] = {"within": json.dumps(op.namespace_prefix)} if op.namespace_prefix else {}
        if equal := {name: value for name, value in filters.items() if isinstance(value, str | int | float | bool)}:
            where["value"] = equal
        end = op.offset + op.limit
        if not op.query:
            fitting = [d for d in self.items.documents(where) if _fits(d.metadata["value"], filters)]
            fitting.sort(key=lambda d: (d.metadata["updated_at"], d.id), reverse=True)
            return [SearchItem(**_fields(document)) for document in fitting[op.offset : end]]
        limit = end
        while True:
            hits = self.items.search(op.query, limit, where)
            matches = [hit for hit in hits if _fits(hit.document.metadata["value"], filters)]
            if len(matches) >= end or len(hits) < limit:
                return [SearchItem(**_fields(hit.document), score=hit.score) for hit in matches[op.offset : end]]
            limit *= _GROWTH

    def _namespaces(self, op: ListNamespacesOp) -> list[tuple[str, ...]]:
        every = {tuple(document.metadata["namespace"]) for document in self.items}
        matching = {namespace for namespace in every if all(_matches(namespace, rule) for rule in op.match_conditions or ())}
        return sorted({namespace[: op.max_depth] for namespace in matching})[op.offset : op.offset + op.limit]


def _id(namespace: tuple[str, ...], key: str) -> str:
    return json.dumps([*namespace, key])


def _prefixes(namespace: tuple[str, ...]) -> list[str]:
    return [json.dumps(namespace[:end]) for end in range(1, len(namespace) + 1)]


def _fields(document: Document) -> dict[str, Any]:
    about = document.metadata
    return {
        "namespace": tuple(about["namespace"]),
        "key": about["key"],
        "value": about["value"],
        "created_at": datetime.fromisoformat(about["created_at"]),
        "updated_at": datetime.fromisoformat(about["updated_at"]),
    }


def _matches(namespace: tuple[str, ...], rule: MatchCondition) -> bool:
    path, end = rule.path, len(rule.path)
    if len(namespace) < end:
        return False
    part = namespace[:end] if rule.match_type == "prefix" else namespace[len(namespace) - end :]
    return all(pattern in ("*", name) for pattern, name in zip(path, part, strict=True))


def _fits(value: Any, condition: Any) -> bool:
    """Whether a value has what a filter asks for: equal, field by field, or as compared by $eq, $ne, $gt, $gte, $lt, $lte."""
    if not isinstance(condition, Mapping):
        return bool(value == (list(condition) if isinstance(condition, tuple) else condition))
    if any(str(name).startswith("$") for name in condition):
        return all(_compare(value, name, limit) for name, limit in condition.items())
    return isinstance(value, Mapping) and all(_fits(value.get(name), part) for name, part in condition.items())


def _compare(value: Any, operator: str, limit: Any) -> bool:
    if operator in ("$eq", "$ne"):
        return bool(value == limit) is (operator == "$eq")
    try:
        number, bound = float(value), float(limit)
    except (TypeError, ValueError):
        return False  # what is not a number is neither more nor less
    compared = {"$gt": number > bound, "$gte": number >= bound, "$lt": number < bound, "$lte": number <= bound}
    if operator not in compared:
        raise ConfigError(f"A filter compares by $eq, $ne, $gt, $gte, $lt and $lte; not by {operator!r}.")
    return compared[operator]
