"""What a soak counts, and its table. Everything but "tried" should be zero."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, fields


@dataclass
class Row:
    """One kind of attack: how often it was tried, and what came of it."""

    attack: str
    tried: int = 0
    lost: int = 0
    """Episodes, rows or rounds that were whole before the attack and are not there, or are others, after the same command."""
    twice: int = 0
    """Tasks, rows or rounds that are there more than once."""
    stuck: int = 0
    """Commands that did not end, or that the same command could not complete."""
    orphaned: int = 0
    """Processes that were left behind."""
    unexpected: int = 0
    """Errors told as unexpected, and tracebacks on stderr."""
    notes: list[str] = field(default_factory=list)
    """What went wrong, in words."""

    @property
    def clean(self) -> bool:
        return not any(getattr(self, name) for name in COUNTS)


COUNTS = tuple(each.name for each in fields(Row) if each.name not in ("attack", "tried", "notes"))


def render(rows: Iterable[Row]) -> str:
    """The rows as a table, with their notes below."""
    rows = list(rows)
    width = max((len(row.attack) for row in rows), default=6)
    heads = ("tried", *COUNTS)
    lines = [" ".join([f"{'attack':<{width}}", *(f"{head:>10}" for head in heads)])]
    lines += [" ".join([f"{row.attack:<{width}}", *(f"{getattr(row, head):>10}" for head in heads)]) for row in rows]
    totals = [sum(getattr(row, head) for row in rows) for head in heads]
    lines.append(" ".join([f"{'all':<{width}}", *(f"{total:>10}" for total in totals)]))
    lines += [f"{row.attack}: {note}" for row in rows for note in row.notes]
    return "\n".join(lines)
