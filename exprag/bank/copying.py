"""A copy of a local bank that can grow apart from it: same rows, keys, vectors and documents; nothing is embedded again."""

from __future__ import annotations

import shutil
from pathlib import Path

from exprag.bank.bank import Bank
from exprag.bank.store import LOCK, Store, guard
from exprag.errors import BankError


def copy_bank(source: str | Path, target: str | Path, version: int | None = None) -> Bank:
    """Copy the bank in folder `source` to the new folder `target`; with `version`, as it was then. The copy appears whole.

    Raises BankError where there is no local bank, the version is gone, or `target` exists.
    """
    old, place = Store(source), Path(target)
    if old.local is None:
        raise BankError(f"{old.uri} is no local folder.", cure="Export it, and import the file into a new bank.")
    if place.exists():
        raise BankError(f"{place} exists already.", cure="Name a new folder.")
    Bank.open(source, version)  # says what is wrong with either before anything is written
    partial = place.with_name(place.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    with old.writing(), guard(f"The bank {old.uri} cannot be copied to {place}"):
        shutil.copytree(old.local, partial, ignore=shutil.ignore_patterns(LOCK))
    if version is not None:
        table = Store(partial).open()
        with guard(f"The copy of {old.uri} cannot be put at version {version}"):
            if table.version != version:
                table.checkout(version)
                table.restore()
    partial.replace(place)
    return Bank.open(place)
