"""Filters: which rows of a bank are meant, as one SQL condition, with every value quoted; and which rows a search may return.

What a text column holds is `utf8(text)`; a condition is written from the same form, so the two always agree.

A row is "trusted" or "quarantined". Quarantined rows are stored, listed and exported like any other, but no search returns them
unless its filter asks for them by name: experience that nobody vouches for must not enter a prompt unasked.

    added by a program (`Bank.add`), or from your own run directory      trusted where the outcome is known, else quarantined
    imported from a file                                                 quarantined

`trust=True` and `trust=False` set the word at once; `Bank.trust` and `Bank.quarantine` set it later.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from exprag.errors import ConfigError
from exprag.text import utf8
from exprag.trajectory import Trajectory

if TYPE_CHECKING:
    import pyarrow as pa

    from exprag.bank.exclusion import Exclusion

TRUST = "trust"  # the column
TRUSTED, QUARANTINED = "trusted", "quarantined"


def literal(text: str) -> str:
    """A SQL string literal: a quote is doubled, and no other character has a meaning inside."""
    return "'" + utf8(text).replace("'", "''") + "'"


def is_in(column: str, values: Iterable[str]) -> str:
    """`column IN (…)`; no values at all match nothing."""
    quoted = [literal(value) for value in sorted(values)]
    return f"{column} IN ({', '.join(quoted)})" if quoted else "false"


def both(*conditions: str) -> str:
    """All of the conditions; empty ones ask for nothing."""
    return " AND ".join(f"({condition})" for condition in conditions if condition)


@dataclass(frozen=True)
class Filter:
    """Rows of a bank by their columns. None asks for nothing; several values of one field mean any of them.

    success          True or False (an unknown outcome is neither)
    run, model, source, created_after, created_before
                     where a row comes from. The times are ISO 8601 or datetime (without zone: UTC), to the second; from the
                     first on, before the second. A row without a time of its making fits neither
    trust            "trusted", "quarantined" or both. None is trusted ones in a search, and any elsewhere. It is the bank's
                     word on a row and no part of the record, so `allows` leaves it out

    Raises ConfigError for a word or a time that cannot be meant.
    """

    environment: str | None = None
    types: tuple[str, ...] | None = None
    splits: tuple[str, ...] | None = None
    success: bool | None = None
    source: str | None = None
    fingerprint: str | None = None
    run: str | None = None
    ids: tuple[str, ...] | None = None
    model: str | None = None
    created_after: str | None = None
    created_before: str | None = None
    trust: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        for field in ("types", "splits", "ids", "trust"):  # a list, a set or one name will do too
            value: Any = getattr(self, field)
            if value is not None:
                object.__setattr__(self, field, (value,) if isinstance(value, str) else tuple(value))
        for field in ("created_after", "created_before"):
            if getattr(self, field) is not None:
                object.__setattr__(self, field, _second(getattr(self, field)))
        if unknown := set(self.trust or ()) - {TRUSTED, QUARANTINED}:
            raise ConfigError(f"trust is {TRUSTED!r} or {QUARANTINED!r}; not {sorted(unknown)[0]!r}.")

    def to_where(self) -> str:
        """The SQL condition; "" if nothing is asked for."""
        parts = []
        for field in fields(self):
            value = getattr(self, field.name)
            if value is None:
                continue
            column = _COLUMNS[field.name]
            if field.name == "created_after":
                parts.append(f"{column} >= {literal(value)}")
                continue
            if field.name == "created_before":
                parts.append(f"{column} != '' AND {column} < {literal(value)}")
                continue
            if isinstance(value, bool):
                parts.append(f"{column} = {str(value).lower()}")
            else:
                parts.append(is_in(column, (value,) if isinstance(value, str) else value))
        return both(*parts)

    def allows(self, trajectory: Trajectory) -> bool:
        """The same decision on a record in memory."""
        task = trajectory.task
        return (
            self.environment in (None, task.environment)
            and (self.types is None or task.type in self.types)
            and (self.splits is None or task.split in self.splits)
            and (self.success is None or self.success is trajectory.success)
            and self.source in (None, trajectory.source)
            and self.fingerprint in (None, trajectory.fingerprint)
            and self.run in (None, trajectory.provenance.run)
            and self.model in (None, trajectory.provenance.model)
            and (self.created_after is None or utf8(trajectory.provenance.created) >= self.created_after)
            and (self.created_before is None or "" < utf8(trajectory.provenance.created) < self.created_before)
            and (self.ids is None or trajectory.id in self.ids)
        )


def trust_word(trajectory: Trajectory, trust: bool | None) -> str:
    """The word in a new row's column `trust`; None decides by the outcome."""
    trusted = trajectory.success is not None if trust is None else trust
    return TRUSTED if trusted else QUARANTINED


def row_condition(schema: pa.Schema, where: Filter | None) -> str:
    """The filter as SQL for a table of this schema. Rows of a bank older than the column `trust` count as trusted."""
    where = where or Filter()
    if where.trust is None or TRUST in schema.names:
        return where.to_where()
    return both(replace(where, trust=None).to_where(), "" if TRUSTED in where.trust else "false")


def search_condition(schema: pa.Schema, where: Filter | None, exclude: Exclusion | None, *, all_trusted: bool) -> str:
    """What a row must fulfil to be found, as SQL: the filter, the exclusion, and trust unless the filter names it.

    Where all rows are trusted the column is not asked: a condition makes a vector search of 100,000 rows a third slower.
    """
    where = where or Filter()
    if where.trust is None and not all_trusted:
        where = replace(where, trust=(TRUSTED,))
    return both(row_condition(schema, where), exclude.to_where() if exclude else "")


_COLUMNS = {
    "environment": "environment",
    "types": "type",
    "splits": "split",
    "success": "success",
    "source": "source",
    "fingerprint": "fingerprint",
    "run": "run",
    "ids": "id",
    "model": "model",
    "created_after": "created",
    "created_before": "created",
    "trust": "trust",
}


def _second(moment: str | datetime) -> str:
    """As provenance writes it, but without the zone: so it sorts right among texts with any fraction of a second."""
    try:
        at = moment if isinstance(moment, datetime) else datetime.fromisoformat(moment)
    except (TypeError, ValueError) as error:
        cure = "Write ISO 8601, such as 2026-11-21 or 2026-11-21T09:30:00."
        raise ConfigError(f"{moment!r} is not a time.", cure=cure) from error
    return (at.astimezone(UTC) if at.tzinfo else at).replace(tzinfo=None).isoformat(timespec="seconds")
