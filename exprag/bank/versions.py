"""Versions: names for them, what each one changed, and which are still there.

Every commit makes a version. A tag is a name for one, and keeps it from being pruned. LanceDB keeps no word on what a commit
was; it is told here by what differs from the version before.
"""

from __future__ import annotations

import re
import warnings
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import pyarrow as pa

from exprag.bank.filters import QUARANTINED, literal
from exprag.bank.reports import Pruned, VersionRecord
from exprag.bank.schema import TRUST, strategies_of
from exprag.bank.store import guard
from exprag.bank.upkeep import KEEP_ALL
from exprag.errors import BankError, ConfigError, closest

_MARGIN = timedelta(seconds=30)  # between reading the clock here and there, on a busy machine


def check_out(table: Any, version: int | str, uri: str) -> int:
    """Put the table at a version, by number or tag; returns the number. Raises BankError where it never was, or is gone."""
    number = _number(table, version, uri)
    with guard(f"The bank {uri} cannot be read"):
        latest, first = table.version, min(found["version"] for found in table.list_versions())
    gone = "it has been pruned" if 0 < number < latest else "it never was"
    cure = f"It is at version {latest}; the oldest kept is {first}. A tag keeps a version from being pruned."
    with guard(f"The bank {uri} has no version {version}: {gone}", cure=cure):
        table.checkout(number)
    return number


def _number(table: Any, version: int | str, uri: str) -> int:
    if isinstance(version, int) or version.isdecimal():
        return max(0, int(version))
    known = tags(table)
    if version not in known:
        raise BankError(f"The bank {uri} has no tag {version!r}.", cure=closest(version, sorted(known)))
    return known[version]


def tags(table: Any) -> dict[str, int]:
    """Version by name, the oldest first."""
    found = {name: int(about["version"]) for name, about in table.tags.list().items()}
    return dict(sorted(found.items(), key=lambda item: (item[1], item[0])))


def tag(table: Any, name: str, version: int | None) -> int:
    """Name a version (default: the latest); returns its number."""
    if name.isdecimal() or not re.fullmatch(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*", name):
        raise ConfigError(f"{name!r} cannot name a version.", cure="Use letters, digits, '.', '-' and '_', and not digits alone.")
    known = tags(table)
    if name in known:
        raise BankError(f"The tag {name!r} is at version {known[name]} already.", cure="Remove it first, or use another name.")
    number = table.version if version is None else version
    table.tags.create(name, number)
    return int(number)


def untag(table: Any, name: str) -> None:
    """Remove a name; its version stays until it is pruned."""
    known = tags(table)
    if name not in known:
        raise BankError(f"There is no tag {name!r}.", cure=closest(name, list(known)))
    table.tags.delete(name)


def prune(table: Any, older_than: timedelta | None) -> Pruned:
    """Merge small writes, bring indices up to date, and give up versions older than that; None keeps all.

    LanceDB refuses to prune past a tag. So what is older than the oldest tagged version goes, and the rest stays.
    """
    table.optimize(cleanup_older_than=KEEP_ALL)
    before = table.list_versions()
    held = ""
    if older_than is not None:
        ages = {found["version"]: datetime.now(UTC) - found["timestamp"].astimezone(UTC) for found in before}
        for name, version in tags(table).items():
            if ages.get(version, timedelta(0)) + _MARGIN > older_than:
                older_than, held = ages[version] + _MARGIN, held or name
        with warnings.catch_warnings(category=UserWarning, action="ignore"):  # that a retention of zero is one
            table.optimize(cleanup_older_than=older_than)
    kept = {found["version"] for found in table.list_versions()}
    return Pruned(int(table.version), len(kept), len([v for v in before if v["version"] not in kept]), held)


def history(table: Any, limit: int | None) -> list[VersionRecord]:
    """The latest versions that are still there, newest first. Moves the table among versions: give it one of its own."""
    names: dict[int, list[str]] = {}
    for name, version in tags(table).items():
        names.setdefault(version, []).append(name)
    versions = sorted(table.list_versions(), key=lambda found: -found["version"])
    shown = versions[:limit]
    seen = [_look(table, found) for found in versions[: len(shown) + 1]]
    records = []
    for found, now, before in zip(shown, seen, [*seen[1:], None], strict=False):
        number = int(found["version"])
        what = _change(before, now) if before else "made" if number == 1 else "the oldest kept"
        created = found["timestamp"].astimezone(UTC).isoformat(timespec="seconds")
        records.append(VersionRecord(number, created, what, now.rows, tuple(names.get(number, ()))))
    return records


class _Seen(NamedTuple):
    """What tells one version from the next."""

    rows: int
    schema: pa.Schema
    quarantined: int
    indices: frozenset[str]
    fragments: int


def _look(table: Any, version: dict[str, Any]) -> _Seen:
    table.checkout(version["version"])
    schema = table.schema
    quarantined = table.count_rows(f"{TRUST} = {literal(QUARANTINED)}") if TRUST in schema.names else 0
    indices = frozenset(index.name for index in table.list_indices())
    return _Seen(table.count_rows(), schema, quarantined, indices, int(version["metadata"]["total_fragments"]))


def _change(before: _Seen, now: _Seen) -> str:
    rows, quarantined = now.rows - before.rows, now.quarantined - before.quarantined
    if rows:
        return f"{rows} added" if rows > 0 else f"{-rows} deleted"
    if before.schema.names != now.schema.names:
        new = [name for name in strategies_of(now.schema) if name not in strategies_of(before.schema)]
        upgraded = TRUST in now.schema.names and TRUST not in before.schema.names
        return f"strategy {new[0]} added" if new else "column trust added" if upgraded else "strategy being built"
    if quarantined:
        return f"{quarantined} quarantined" if quarantined > 0 else f"{-quarantined} trusted"
    if before.indices != now.indices:
        return f"index {', '.join(sorted(now.indices ^ before.indices))}"
    return "compacted" if now.fragments < before.fragments else "upkeep"
