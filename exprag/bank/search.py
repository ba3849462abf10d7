"""Ranking: the rows of a table nearest to a query, in an order that is the same every time.

LanceDB breaks ties as it pleases, and ties are the rule here (many runs share one task description). So the search asks for
more than k, until the last score lies clearly below the k-th, and orders equal scores by id.

All of it runs on LanceDB's event loop, in one hop (`exprag.bank.hop`); tables here are asynchronous ones.

Keys by step are lists. LanceDB finds a row by its nearest vector or its best-matching text, and says the element of a text;
that of a vector is found here.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from exprag.bank.index import asked
from exprag.bank.schema import KEY, VECTOR
from exprag.bank.view import View

MODES = ("auto", "vector", "lexical", "hybrid")
_MARGIN = 64
# How deep is what a search costs where each row found is compared again with raw vectors, or has to be for many words; and
# long texts seldom tie.
_MARGIN_QUANTISED, _MARGIN_LONG, _LONG = 32, 16, 32
_GROWTH = 16
_DIGITS = 6  # float noise in equal scores lies below this
_BREAKS = re.compile(r"[\s!-/:-@\[-`{-~]+")  # white space and ASCII punctuation, which end a word in the index too
# Reciprocal rank fusion (Cormack, Clarke and Buettcher, SIGIR 2009), with their constant.
_FUSION = 60
_FUSED = 100  # how deep each of the two lists is read, at least


class Ranked(NamedTuple):
    """One row of an answer. `row` is its place in this version of the table; `step` the best element of a key by step;
    `payload` its record, where that was read along."""

    id: str
    score: float
    row: int
    step: int | None = None
    payload: str | None = None


async def search(
    table: Any,
    view: View,
    strategy: str,
    text: str | None,
    vector: np.ndarray | None,
    k: int,
    condition: str,
) -> list[Ranked]:
    """The k best rows by the strategy's keys that fit the SQL condition, best first, equal scores by id.

    A text asks the full-text index (BM25; rows that share no word with it are not found), a float32 vector [dimension] is
    compared by dot product, and both together are fused by rank. `view` is the table's.
    """
    if text is None or vector is None:
        return await rank(table, view, strategy, text if vector is None else vector, k, condition, payloads=True)
    depth = max(_FUSED, 4 * k)
    return fuse([await rank(table, view, strategy, query, depth, condition) for query in (vector, text)])[:k]


def fuse(rankings: Iterable[list[Ranked]]) -> list[Ranked]:
    """One ranking of several by the sum of 1 / (60 + rank). Equal scores of a ranking share the best rank of theirs, so that
    what decides among them is the other ranking, and then the id. A row's step is the first ranking's that found it."""
    scores: dict[str, float] = {}
    first: dict[str, Ranked] = {}
    for ranking in rankings:
        place, last = 0, math.nan
        for number, row in enumerate(ranking, 1):
            place, last = (place if row.score == last else number), row.score
            scores[row.id] = scores.get(row.id, 0.0) + 1 / (_FUSION + place)
            first.setdefault(row.id, row)
    return sorted((row._replace(score=scores[row.id]) for row in first.values()), key=_order)


async def rank(
    table: Any, view: View, strategy: str, query: Any, k: int, condition: str, *, payloads: bool = False
) -> list[Ranked]:
    """The k best rows for one query, a text or a vector; with their payloads, if that is asked and costs no read of its own."""
    by_vector = not isinstance(query, str)
    index = view.vectors.get(strategy) if by_vector else None
    margin = _MARGIN_QUANTISED if index and index.kind != "ivf_flat" else _MARGIN
    limit = max(_MARGIN_LONG if not by_vector and query.count(" ") > _LONG else margin, 2 * k)
    everywhere = index is None
    while True:
        found = await _ask(table, view, strategy, query, limit, condition, everywhere)
        if len(found) < limit and not everywhere:
            everywhere = True
            continue
        best: dict[int, _Found] = {}
        for one in sorted(found, key=lambda one: (-one.score, one.step or 0)):
            best.setdefault(one.row, one)  # a row is found once for each of its texts
        ranked = list(best.values())
        if len(found) < limit or (len(ranked) > k and min(one.score for one in found) < ranked[k - 1].score):
            break
        limit *= _GROWTH
    # only those that may be among the k are asked for their ids: reading those of all takes as long as the search
    within = [one for one in ranked if one.score >= ranked[min(k, len(ranked)) - 1].score]
    along = payloads and len(within) <= 2 * k  # a read takes a millisecond, whatever it reads of few rows
    rows = await take(table, [one.row for one in within], "id", *(["payload"] if along else []))
    chosen = sorted((Ranked(rows[one.row][0], one.score, one.row, one.step) for one in within), key=_order)[:k]
    if along:
        chosen = [one._replace(payload=rows[one.row][1]) for one in chosen]
    return await _with_steps(table, strategy, query, chosen) if by_vector and strategy in view.by_step else chosen


def _order(row: Ranked) -> tuple[float, str]:
    return -row.score, row.id


class _Found(NamedTuple):
    row: int
    score: float
    step: int | None


async def _ask(table: Any, view: View, strategy: str, query: Any, limit: int, condition: str, everywhere: bool) -> list[_Found]:
    by_step, lexical = strategy in view.by_step, isinstance(query, str)
    if lexical:
        from lancedb import query as lance

        words: Any = lance.MatchQuery  # takes the text as words, whatever query syntax it may look like
        search = table.query().nearest_to_text(words(damped(query), KEY + strategy))
    else:
        search = table.vector_search(query).column(VECTOR + strategy).distance_type("cosine" if by_step else "dot")
        search = asked(search, view.vectors.get(strategy), by_step, everywhere)
    number = "_score" if lexical else "_distance"
    search = search.select([number, "_doc_index"] if lexical and by_step else [number]).with_row_id()
    if condition:
        search = search.where(condition)  # before the search, so that it never shortens the answer
    rows = await search.limit(limit).to_arrow()
    scores = rows[number].to_pylist() if lexical else [1.0 - distance for distance in rows[number].to_pylist()]
    steps = [place[0] for place in rows["_doc_index"].to_pylist()] if "_doc_index" in rows.column_names else [None] * len(rows)
    columns = zip(rows["_rowid"].to_pylist(), scores, steps, strict=True)
    return [_Found(row, round(score, _DIGITS), step) for row, score, step in columns]


async def _with_steps(table: Any, strategy: str, query: np.ndarray, ranked: list[Ranked]) -> list[Ranked]:
    keys = await take(table, [row.row for row in ranked], VECTOR + strategy)
    return [row._replace(step=int(np.argmax(np.asarray(keys[row.row][0], dtype=np.float32) @ query))) for row in ranked]


async def take(table: Any, rows: Sequence[int], *columns: str) -> dict[int, tuple[Any, ...]]:
    """The values of some columns by the rows' places, which hold for this version of the table alone."""
    if not rows:
        return {}
    found = await table.take_row_ids(list(rows)).select(list(columns)).with_row_id().to_arrow()
    values = zip(*(found[column].to_pylist() for column in columns), strict=True)
    return dict(zip(found["_rowid"].to_pylist(), values, strict=True))


def damped(text: str) -> str:
    """The words of a text, each as often as the square root of its count, rounded up (Lucene's classic damping).

    The index counts a word anew for every time it is said, in score and in time: a whole episode took 0.1 s of search at
    10,000 rows. Damped, it takes a tenth, and on ALFWorld runs finds the task's own type more often from the fifth step on.
    """
    counts = Counter(word for word in _BREAKS.split(text.lower()) if word)
    return " ".join(word for word, count in counts.items() for _ in range(math.ceil(math.sqrt(count))))
