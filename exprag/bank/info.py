"""What is in a bank: counts by column."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from exprag.bank.filters import TRUSTED
from exprag.bank.reports import BankInfo
from exprag.bank.schema import TRUST, Description, strategies_of
from exprag.bank.store import Store

_COUNTED = ("environment", "type", "split", "success", "source", "fingerprint", TRUST)
_OUTCOMES = {True: "success", False: "failure", None: "unknown"}


def describe_bank(table: Any, about: Description, store: Store) -> BankInfo:
    """Read the counted columns (not the payloads) and add them up."""
    held = [column for column in _COUNTED if column in table.schema.names]
    rows: pa.Table = table.search().select(held).to_arrow()
    counts: dict[str, dict[Any, int]] = {TRUST: {TRUSTED: rows.num_rows}}  # of a bank older than the column
    for column in held:
        found = {item["values"]: item["counts"] for item in rows[column].combine_chunks().value_counts().to_pylist()}
        counts[column] = dict(sorted(found.items(), key=lambda item: (-item[1], str(item[0]))))
    return BankInfo(
        uri=store.uri,
        version=int(table.version),
        rows=rows.num_rows,
        encoder=about.encoder,
        dimension=about.dimension,
        strategies=strategies_of(table.schema),
        exprag=about.exprag,
        size_bytes=store.size(),
        environments=counts["environment"],
        types=counts["type"],
        splits=counts["split"],
        outcomes={_OUTCOMES[value]: count for value, count in counts["success"].items()},
        sources=counts["source"],
        fingerprints=counts["fingerprint"],
        trust=counts[TRUST],
    )
