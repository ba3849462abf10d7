"""A document as a row of a table: its JSON, the text that is searched, and labels that a filter can ask for.

The payload is the whole document (ASCII JSON, nothing lost). Metadata is anybody's, so it has no columns of its own: each
value in it becomes a label that names its path, and a filter asks for labels, before the search and not after it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from pydantic import TypeAdapter, ValidationError

from exprag.bank.encoders import checked
from exprag.bank.filters import both, literal
from exprag.bank.schema import KEY, VECTOR, describe
from exprag.errors import BankError, RecordError, first_fault
from exprag.text import utf8
from exprag.trajectory import JsonDict, Text

if TYPE_CHECKING:
    from langchain_core.documents import Document

    from exprag.bank.bank import Bank

METADATA = b"exprag.documents"
# Named as the keys of a query strategy are, and with the bank's description: so its search and upkeep serve documents too.
CONTENT = "content"
_LONG = 200  # characters of a label; beyond, a digest stands for the rest
_json: TypeAdapter[dict[str, Any]] = TypeAdapter(JsonDict)
_text: TypeAdapter[str] = TypeAdapter(Text)


def documents_schema(bank: Bank) -> pa.Schema:
    """Columns id, key_content (what is searched; null for a document without text), vector_content where the bank has an
    encoder, labels, payload."""
    fields = [pa.field("id", pa.string(), nullable=False), pa.field(KEY + CONTENT, pa.string())]
    if bank.dimension:
        fields.append(pa.field(VECTOR + CONTENT, pa.list_(pa.float32(), bank.dimension)))
    fields += [pa.field("labels", pa.list_(pa.string())), pa.field("payload", pa.string(), nullable=False)]
    return pa.schema(fields, metadata=bank.description.to_metadata() | {METADATA: b"1"})


def check_documents(schema: pa.Schema, name: str, bank: Bank) -> None:
    """Raises BankError where the table is not one of documents, or was made with another encoder than the bank's."""
    if METADATA not in (schema.metadata or {}):
        raise BankError(f"The table {name!r} of {bank.uri} holds no documents.", cure="Use another name.")
    about = describe(schema, bank.uri)
    if (about.encoder, about.dimension) != (bank.encoder, bank.dimension):
        raise BankError(
            f"The documents {name!r} of {bank.uri} were made with the encoder {about.encoder!r}; the bank's is {bank.encoder!r}.",
            cure="Add them again under another name.",
        )


def labels(metadata: Mapping[str, Any], path: tuple[str, ...] = ()) -> list[str]:
    """What a filter can ask for: a string for each value in the metadata, naming its path; for a list, one for each element."""
    texts: list[str] = []
    for name, value in metadata.items():
        here = (*path, name)
        for item in value if isinstance(value, list) else [value]:
            if isinstance(item, Mapping):
                texts += labels(item, here)
            elif not isinstance(item, list):
                texts.append(_label(here, item))
    return list(dict.fromkeys(texts))


def condition(where: Mapping[str, Any] | None) -> str:
    """The SQL condition of a filter; "" if it asks for nothing. Raises RecordError for one that is not JSON."""
    return both(*(f"array_has(labels, {literal(label)})" for label in labels(valid_json(where or {}, "The filter"))))


def to_rows(records: Sequence[dict[str, Any]], schema: pa.Schema, bank: Bank) -> pa.Table:
    """One Arrow row per record; texts are embedded by the bank's encoder, where it has one."""
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
    with_text = [number for number, text in enumerate(texts) if text]
    if bank.dimension and with_text:
        encoder = bank.load_encoder()
        vectors = encoder.encode_keys([texts[number] for number in with_text])
        for number, vector in zip(with_text, checked(vectors, (len(with_text), bank.dimension), encoder.spec), strict=True):
            rows[number][VECTOR + CONTENT] = vector
    return pa.Table.from_pylist(rows, schema=schema)


def from_payload(payload: str) -> Document:
    from langchain_core.documents import Document

    return Document(**json.loads(payload))


def _label(path: tuple[str, ...], value: Any) -> str:
    number = isinstance(value, float) and value.is_integer()  # 1 and 1.0 are one number
    text = json.dumps([*path, int(value) if number else value])
    return text if len(text) <= _LONG else text[:_LONG] + hashlib.sha256(text.encode()).hexdigest()


def to_record(document: Document) -> dict[str, Any]:
    """The document as plain JSON, with an id."""
    content = _text.validate_python(document.page_content)
    metadata = valid_json(document.metadata, f"The metadata of the document {document.id or content[:40]!r}")
    everything = json.dumps([content, metadata], sort_keys=True)
    id = _text.validate_python(document.id or hashlib.sha256(everything.encode()).hexdigest()[:24])
    return {"id": id, "page_content": content, "metadata": metadata}


def valid_json(data: Any, what: str) -> dict[str, Any]:
    """The data as plain JSON types. Raises RecordError saying what in it is not JSON."""
    try:
        valid = _json.validate_python(data)
        json.dumps(valid, allow_nan=False)
    except (ValidationError, ValueError) as error:
        reason = first_fault(error) if isinstance(error, ValidationError) else str(error)
        raise RecordError(f"{what} is not JSON: {reason}.", cure="Use text, numbers, lists and maps of them.") from error
    return valid


def to_payload(record: dict[str, Any]) -> str:
    return json.dumps(record, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
