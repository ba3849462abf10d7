"""Versions: names for them, what each one changed, and which are still there.

Every commit makes a version. A tag is a name for one, and keeps it from being pruned. LanceDB does not
record what a commit was; it is read here from what differs from the version before.
"""

from __future__ import annotations

import json
import re
import warnings
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import pyarrow as pa

from exprag.bank.filters import QUARANTINED, TRUST, literal
from exprag.bank.index import KEEP_ALL
from exprag.bank.reports import Pruned, VersionRecord
from exprag.bank.schema import COLLECTIONS, collections_of, strategies_of
from exprag.bank.store import guard
from exprag.errors import BankError, ConfigError, closest

_MARGIN = timedelta(seconds=30)  # between reading the clock here and there, on a busy machine


def check_out(table: Any, version: int | str, uri: str) -> int:
    """Put the table at a version, by number or tag; returns the number. Raises BankError where it never was, or is gone."""
    number = _number(table, version, uri)
    with guard(f"The bank {uri} cannot be read"):
        latest, first = table.version, min(listed["version"] for listed in table.list_versions())
    gone = "it has been pruned" if 0 < number < latest else "it never was"
    cure = f"It is at version {latest}; the oldest kept is {first}. A tag keeps a version from being pruned."
    with guard(f"The bank {uri} has no version {version}: {gone}", cure=cure):
        table.checkout(number)
    return number


def _number(table: Any, version: int | str, uri: str) -> int:
    if isinstance(version, int) or version.isdecimal():
        return max(0, int(version))
    names = tags(table)
    if version not in names:
        raise BankError(f"The bank {uri} has no tag {version!r}.", cure=closest(version, sorted(names)))
    return names[version]


def tags(table: Any) -> dict[str, int]:
    """Version by name, the oldest first."""
    versions = {name: int(about["version"]) for name, about in table.tags.list().items()}
    return dict(sorted(versions.items(), key=lambda item: (item[1], item[0])))


def tag(table: Any, name: str, version: int | None) -> int:
    """Name a version (default: the latest); returns its number."""
    if name.isdecimal() or not re.fullmatch(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*", name):
        raise ConfigError(f"{name!r} cannot name a version.", cure="Use letters, digits, '.', '-' and '_', and not digits alone.")
    names = tags(table)
    if name in names:
        raise BankError(f"The tag {name!r} is at version {names[name]} already.", cure="Remove it first, or use another name.")
    number = table.version if version is None else version
    table.tags.create(name, number)
    return int(number)


def untag(table: Any, name: str) -> None:
    """Remove a name; its version stays until it is pruned."""
    names = tags(table)
    if name not in names:
        raise BankError(f"There is no tag {name!r}.", cure=closest(name, list(names)))
    table.tags.delete(name)


def note_collection(table: Any, connection: Any, name: str, version: int) -> None:
    """Make a version of the bank's table that says which version of a collection of documents goes with it, from then on. The
    first such note in a bank from before there were any names the other collections too, as they are now."""
    noted = collections_of(table.schema)
    if noted is None:
        others = [other for other in connection.list_tables().tables if other not in (table.name, name)]
        noted = {other: int(connection.open_table(other).version) for other in others}
    noted = {**noted, name: version}
    table.update_field_metadata({"path": "id", "metadata": {COLLECTIONS: json.dumps(noted)}})


def restore_collections(table: Any, connection: Any, noted: dict[str, int]) -> None:
    """Put the collections of a bank at the versions that are noted in a version of it, and drop those that are not: as the bank
    was then. They become the latest of their tables, and `table` notes them."""
    for name in connection.list_tables().tables:
        if name == table.name:
            continue
        if name not in noted:
            connection.drop_table(name)
            continue
        collection = connection.open_table(name)
        if collection.version != noted[name]:
            collection.checkout(noted[name])
            collection.restore()
            note_collection(table, connection, name, int(collection.version))


def prune(table: Any, older_than: timedelta | None, *, alone: bool) -> Pruned:
    """Merge small writes, bring indices up to date, and delete versions older than that; None keeps all.

    LanceDB refuses to prune past a tag. So what is older than the oldest tagged version goes, and the rest stays. `alone`: the
    caller holds the writer's lock, so what a killed writer left of an unfinished commit, which LanceDB keeps for a week in case
    it is still going on, goes too.
    """
    table.optimize(cleanup_older_than=KEEP_ALL)
    before = table.list_versions()
    holder = ""
    if older_than is not None:
        ages = {listed["version"]: datetime.now(UTC) - listed["timestamp"].astimezone(UTC) for listed in before}
        for name, version in tags(table).items():
            if ages.get(version, timedelta(0)) + _MARGIN > older_than:
                older_than, holder = ages[version] + _MARGIN, holder or name
        with warnings.catch_warnings(category=UserWarning, action="ignore"):  # that a retention of zero is one
            table.optimize(cleanup_older_than=older_than, delete_unverified=alone)
    left = {listed["version"] for listed in table.list_versions()}
    return Pruned(int(table.version), len(left), len([v for v in before if v["version"] not in left]), holder)


def history(table: Any, limit: int | None) -> list[VersionRecord]:
    """The latest versions that are still there, newest first. Moves the table among versions: give it one of its own."""
    names: dict[int, list[str]] = {}
    for name, version in tags(table).items():
        names.setdefault(version, []).append(name)
    versions = sorted(table.list_versions(), key=lambda listed: -listed["version"])
    latest = versions[:limit]
    states = [_state(table, listed) for listed in versions[: len(latest) + 1]]
    records = []
    for listed, now, before in zip(latest, states, [*states[1:], None], strict=False):
        number = int(listed["version"])
        what = _change(before, now) if before else "made" if number == 1 else "the oldest kept"
        created = listed["timestamp"].astimezone(UTC).isoformat(timespec="seconds")
        records.append(VersionRecord(number, created, what, now.rows, tuple(names.get(number, ()))))
    return records


class _State(NamedTuple):
    """What tells one version from the next."""

    rows: int
    schema: pa.Schema
    quarantined: int
    indices: frozenset[str]
    fragments: int


def _state(table: Any, version: dict[str, Any]) -> _State:
    table.checkout(version["version"])
    schema = table.schema
    quarantined = table.count_rows(f"{TRUST} = {literal(QUARANTINED)}") if TRUST in schema.names else 0
    indices = frozenset(index.name for index in table.list_indices())
    return _State(table.count_rows(), schema, quarantined, indices, int(version["metadata"]["total_fragments"]))


def _change(before: _State, now: _State) -> str:
    rows, quarantined = now.rows - before.rows, now.quarantined - before.quarantined
    if rows:
        return f"{rows} added" if rows > 0 else f"{-rows} deleted"
    if before.schema.names != now.schema.names:
        new = [name for name in strategies_of(now.schema) if name not in strategies_of(before.schema)]
        upgraded = TRUST in now.schema.names and TRUST not in before.schema.names
        return f"strategy {new[0]} added" if new else "column trust added" if upgraded else "strategy being built"
    if quarantined:
        return f"{quarantined} quarantined" if quarantined > 0 else f"{-quarantined} trusted"
    if changed := {name for name, _ in set(_collections(before)) ^ set(_collections(now))}:
        return f"{', '.join(sorted(changed))} changed"
    if before.indices != now.indices:
        return f"index {', '.join(sorted(now.indices ^ before.indices))}"
    return "compacted" if now.fragments < before.fragments else "upkeep"


def _collections(state: _State) -> list[tuple[str, int]]:
    return list((collections_of(state.schema) or {}).items())
