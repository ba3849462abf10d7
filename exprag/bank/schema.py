"""What a bank's table looks like: one row per trajectory, and the bank's own description in the schema's metadata.

The payload is the trajectory itself (ASCII JSON, nothing lost); the columns beside it are for search and filters. Each
query strategy has a text column `key_NAME`, and with a vector encoder a float32 column `vector_NAME`; a strategy by step has
lists of them, one element per step, so that a trajectory stays one row and one commit. The description stands in the schema
and not in a file beside it, so that it is written in the same commit and travels to object storage.

Format 2 has the column `trust`. A bank of format 1 is read as it is, all its rows trusted; the first write adds the column.

Documents and items lie in tables of their own, with versions of their own. Which of them go with a version of the bank is noted
in that version itself, in the metadata of its column `id`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np
import pyarrow as pa

from exprag.bank.filters import TRUST
from exprag.errors import BankError
from exprag.text import utf8
from exprag.trajectory import Trajectory

TABLE = "trajectories"
FORMAT = 2
METADATA = b"exprag.bank"
COLLECTIONS = "exprag.collections"
KEY, VECTOR = "key_", "vector_"

_ROW = [
    pa.field("id", pa.string(), nullable=False, metadata={COLLECTIONS: "{}"}),
    *(pa.field(name, pa.string(), nullable=False) for name in ("task_key", "environment", "task_id", "task_group")),
    *(pa.field(name, pa.string(), nullable=False) for name in ("split", "type", "instruction")),
    pa.field("success", pa.bool_()),
    pa.field("score", pa.float64()),
    *(pa.field(name, pa.string(), nullable=False) for name in ("source", "fingerprint", "run", "model", "created")),
    pa.field("n_steps", pa.int32(), nullable=False),
    pa.field(TRUST, pa.string()),
    # zstd halves the folder (measured on ALFWorld runs) and with it what compaction rewrites; reading is as fast
    pa.field("payload", pa.string(), nullable=False, metadata={"lance-encoding:compression": "zstd"}),
]


@dataclass(frozen=True)
class Description:
    """What a bank records about itself. `dimension` is 0 where keys are not embedded; `probe` is the beginning of the vector of a
    fixed text, by which an encoder is recognised wherever its files lie; `index` is the kind of its vector indices."""

    encoder: str
    dimension: int = 0
    probe: tuple[float, ...] = ()
    exprag: str = ""
    format: int = FORMAT
    index: str = "auto"

    def to_metadata(self) -> dict[bytes, bytes]:
        return {METADATA: json.dumps(asdict(self)).encode()}


def describe(schema: pa.Schema, uri: str) -> Description:
    """Read the description. Raises BankError where the table is not a bank's, or a newer exprag's."""
    text = (schema.metadata or {}).get(METADATA)
    if text is None or "payload" not in schema.names:
        raise BankError(f"The table {TABLE!r} in {uri} is not an experience bank.", cure="Name another folder.")
    try:
        data = json.loads(text)
        if data["format"] > FORMAT:
            raise BankError(
                f"The bank {uri} has format {data['format']}; this exprag reads up to {FORMAT}.",
                cure="Upgrade exprag: pip install --upgrade exprag",
            )
        return Description(**{**data, "probe": tuple(data["probe"])})
    except (ValueError, KeyError, TypeError) as error:
        raise BankError(f"The description of the bank {uri} cannot be read: {error}.") from error


def collections_of(schema: pa.Schema) -> dict[str, int] | None:
    """The versions of the collections of documents that go with a version of the bank, by name; one that is not named had not
    been made. None where the version is from before they were noted."""
    text = (schema.field("id").metadata or {}).get(COLLECTIONS.encode())
    return None if text is None else {name: int(version) for name, version in json.loads(text).items()}


def strategies_of(schema: pa.Schema) -> tuple[str, ...]:
    """The query strategies that the table has keys of, in the order in which they were added."""
    return tuple(name.removeprefix(KEY) for name in schema.names if name.startswith(KEY))


def is_by_step(schema: pa.Schema, strategy: str) -> bool:
    """Whether the strategy's keys are lists, one element per step."""
    return pa.types.is_list(schema.field(KEY + strategy).type)


def key_fields(strategy: str, dimension: int, by_step: bool, prefix: str = "") -> list[pa.Field]:
    """The columns of one strategy."""
    types = {KEY: pa.string()}
    if dimension:
        types[VECTOR] = pa.list_(pa.float32(), dimension)
    return [pa.field(prefix + kind + strategy, pa.list_(type) if by_step else type) for kind, type in types.items()]


def bank_schema(description: Description, strategies: Mapping[str, bool]) -> pa.Schema:
    """`strategies`: names, and whether their keys are by step."""
    fields = [field for name, by_step in strategies.items() for field in key_fields(name, description.dimension, by_step)]
    return pa.schema([*_ROW, *fields], metadata=description.to_metadata())


def key_columns(
    strategy: str,
    texts: Sequence[str],
    vectors: np.ndarray | None,
    counts: Sequence[int] | None = None,
    prefix: str = "",
) -> dict[str, pa.Array]:
    """The Arrow columns of one strategy from its key texts and, with a vector encoder, float32 [texts, dimension].

    `counts`, of a strategy by step, says how many of the texts belong to each row.
    """
    columns = {KEY: pa.array(texts, pa.string())}
    if vectors is not None:
        flat = pa.array(np.ascontiguousarray(vectors, dtype=np.float32).reshape(-1))
        columns[VECTOR] = pa.FixedSizeListArray.from_arrays(flat, vectors.shape[1])
    if counts is not None:
        ends = pa.array(np.concatenate([[0], np.cumsum(counts)]), pa.int32())
        columns = {kind: pa.ListArray.from_arrays(ends, values) for kind, values in columns.items()}
    return {prefix + kind + strategy: values for kind, values in columns.items()}


def to_rows(
    trajectories: Sequence[Trajectory], words: Sequence[str], keys: Mapping[str, pa.Array], schema: pa.Schema
) -> pa.RecordBatch:
    """One Arrow row per trajectory. `words`: trusted or quarantined, row for row; `keys`: the columns of `key_columns`. A column
    of the schema that is in neither is null."""
    rows = [_row(trajectory) | {TRUST: word} for trajectory, word in zip(trajectories, words, strict=True)]
    arrays = [
        keys[field.name] if field.name in keys else pa.array([row.get(field.name) for row in rows], field.type)
        for field in schema
    ]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def _row(trajectory: Trajectory) -> dict[str, object]:
    task, origin = trajectory.task, trajectory.provenance
    return {
        "id": utf8(trajectory.id),
        "task_key": utf8(task.key),
        "environment": utf8(task.environment),
        "task_id": utf8(task.id),
        "task_group": utf8(task.group),
        "split": utf8(task.split),
        "type": utf8(task.type),
        "instruction": utf8(task.instruction),
        "success": trajectory.success,
        "score": trajectory.score,
        "source": trajectory.source,
        "fingerprint": utf8(trajectory.fingerprint),
        "run": utf8(origin.run),
        "model": utf8(origin.model),
        "created": utf8(origin.created),
        "n_steps": len(trajectory.steps),
        "payload": trajectory.to_json(),
    }
