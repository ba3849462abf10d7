"""Trust: which rows a search may return by itself.

A row is "trusted" or "quarantined". Quarantined rows are kept, listed and exported like any other, but no search returns
them unless its filter asks for them by name: experience that nobody vouches for must not enter a prompt unasked.

    added by a program (`Bank.add`), or from one's own run directory     trusted where the outcome is known, else quarantined
    imported from a file                                                 quarantined

`trust=True` and `trust=False` set the word at once; `Bank.trust` and `Bank.quarantine` set it later.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pyarrow as pa

from exprag.bank.filters import QUARANTINED, TRUSTED, Filter, both
from exprag.bank.schema import TRUST
from exprag.trajectory import Trajectory

if TYPE_CHECKING:
    from exprag.bank.exclusion import Exclusion
    from exprag.bank.view import View


def word_for(trajectory: Trajectory, trust: bool | None) -> str:
    """What a new row's column says; `trust` None decides by the outcome."""
    sure = trajectory.success is not None if trust is None else trust
    return TRUSTED if sure else QUARANTINED


def condition(schema: pa.Schema, where: Filter | None) -> str:
    """The filter as SQL for a table of this schema. Rows of a bank older than the column count as trusted."""
    where = where or Filter()
    if where.trust is None or TRUST in schema.names:
        return where.to_where()
    return both(replace(where, trust=None).to_where(), "" if TRUSTED in where.trust else "false")


def search_condition(view: View, where: Filter | None, exclude: Exclusion | None) -> str:
    """What a row must fulfil to be found: filter, exclusion, and trust unless the filter says otherwise.

    Where all rows are trusted it is not asked: a condition costs a vector search of 100,000 rows a third of its time again.
    """
    where = where or Filter()
    if where.trust is None and not view.trusted:
        where = replace(where, trust=(TRUSTED,))
    return both(condition(view.schema, where), exclude.to_where() if exclude else "")
