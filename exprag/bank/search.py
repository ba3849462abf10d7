"""Ranking: the rows of a table nearest to a query, in an order that is the same every time.

LanceDB breaks ties as it pleases, and ties are the rule here (many runs share one task description). So the search asks for
more than k, until the last score lies clearly below the k-th, and orders equal scores by id.

All of it runs on LanceDB's event loop, in one call of `exprag.bank.store.wait`; tables here are asynchronous, but for `look`.

Keys by step are lists. LanceDB finds a row by its nearest vector or its best-matching text, and names the element of a text; the
element of a vector is looked up here.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from exprag.bank.filters import TRUST, TRUSTED, literal
from exprag.bank.index import Plan, tokenizers, tuned, vector_indices
from exprag.bank.schema import KEY, VECTOR, is_by_step, strategies_of
from exprag.bank.words import Vocabulary

MODES = ("auto", "vector", "lexical", "hybrid")
_MARGIN = 64
# Depth is what a search costs where each candidate is compared again with raw vectors, or matched with many words; and long
# texts seldom tie.
_MARGIN_QUANTISED, _MARGIN_LONG, _LONG = 32, 16, 32
_GROWTH = 16
_DIGITS = 6  # float noise in equal scores lies below this
_BREAKS = re.compile(r"[\s!-/:-@\[-`{-~]+")  # white space and ASCII punctuation, which end a word in the index too
# Reciprocal rank fusion (Cormack, Clarke and Buettcher, SIGIR 2009), with their constant.
_FUSION = 60
_FUSED = 100  # how deep each of the two lists is read, at least


@dataclass(frozen=True)
class View:
    """What a search has to know of one version of a table beside its rows: how many they are, the columns and strategies; whether
    all rows are trusted; the vector index of each strategy that has one, and the tokenizer of each whose texts are indexed. Its
    vocabulary is read by the first search by words."""

    version: int
    rows: int
    schema: pa.Schema
    trusted: bool
    strategies: tuple[str, ...]
    by_step: frozenset[str]
    vectors: dict[str, Plan]
    texts: dict[str, str]
    vocabulary: list[Vocabulary] = field(default_factory=list, compare=False)


def look(table: Any) -> View:
    """The view of the version that the (synchronous) table is at."""
    version, schema, indices = int(table.version), table.schema, table.list_indices()
    names = strategies_of(schema)
    by_step = frozenset(name for name in names if is_by_step(schema, name))
    doubtful = table.count_rows(f"{TRUST} != {literal(TRUSTED)} OR {TRUST} IS NULL") if TRUST in schema.names else 0
    rows = int(table.count_rows())
    return View(version, rows, schema, not doubtful, names, by_step, vector_indices(indices), tokenizers(indices))


class Ranked(NamedTuple):
    """One row of an answer. `row` is its place in this version of the table; `step` the best element of a key by step;
    `payload` its record, where that was read with it."""

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
    what decides among them is the other ranking, and then the id. A row's step is that of the first ranking that has it."""
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
    """The k best rows for one query, a text or a vector; with `payloads`, their records too where that costs no extra read."""
    by_vector = not isinstance(query, str)
    words = "" if by_vector else await _words(table, view, query)
    index = view.vectors.get(strategy) if by_vector else None
    margin = _MARGIN_QUANTISED if index and index.kind != "ivf_flat" else _MARGIN
    limit = max(_MARGIN_LONG if not by_vector and query.count(" ") > _LONG else margin, 2 * k)
    everywhere = index is None
    while True:
        matches = await _matches(table, view, strategy, query if by_vector else words, limit, condition, everywhere)
        if len(matches) < limit and not everywhere:
            everywhere = True
            continue
        best: dict[int, _Match] = {}
        for match in sorted(matches, key=lambda match: (-match.score, match.step or 0)):
            best.setdefault(match.row, match)  # a row matches once for each of its texts
        ranked = list(best.values())
        if len(matches) < limit or (len(ranked) > k and min(match.score for match in matches) < ranked[k - 1].score):
            break
        limit *= _GROWTH
    # ids are read only of those that may be among the k: reading those of all takes as long as the search
    candidates = [match for match in ranked if match.score >= ranked[min(k, len(ranked)) - 1].score]
    with_payloads = payloads and len(candidates) <= 2 * k  # a read takes a millisecond, whatever it reads of few rows
    rows = await take(table, [match.row for match in candidates], "id", *(["payload"] if with_payloads else []))
    answer = sorted((Ranked(rows[match.row][0], match.score, match.row, match.step) for match in candidates), key=_order)[:k]
    if with_payloads:
        answer = [row._replace(payload=rows[row.row][1]) for row in answer]
    return await _with_steps(table, strategy, query, answer) if by_vector and strategy in view.by_step else answer


def _order(row: Ranked) -> tuple[float, str]:
    return -row.score, row.id


class _Match(NamedTuple):
    row: int
    score: float
    step: int | None


async def _matches(
    table: Any, view: View, strategy: str, query: Any, limit: int, condition: str, everywhere: bool
) -> list[_Match]:
    """LanceDB's answer to one query: at most `limit` rows, with rounded scores."""
    by_step, lexical = strategy in view.by_step, isinstance(query, str)
    if lexical:
        from lancedb import query as lance

        match: Any = lance.MatchQuery  # takes the text as words, whatever query syntax it may look like
        search = table.query().nearest_to_text(match(query, KEY + strategy))
    else:
        search = table.vector_search(query).column(VECTOR + strategy).distance_type("cosine" if by_step else "dot")
        search = tuned(search, view.vectors.get(strategy), by_step, everywhere)
    number = "_score" if lexical else "_distance"
    search = search.select([number, "_doc_index"] if lexical and by_step else [number]).with_row_id()
    if condition:
        search = search.where(condition)  # before the search, so that it never shortens the answer
    rows = await search.limit(limit).to_arrow()
    scores = rows[number].to_pylist() if lexical else [1.0 - distance for distance in rows[number].to_pylist()]
    steps = [place[0] for place in rows["_doc_index"].to_pylist()] if "_doc_index" in rows.column_names else [None] * len(rows)
    columns = zip(rows["_rowid"].to_pylist(), scores, steps, strict=True)
    return [_Match(row, round(score, _DIGITS), step) for row, score, step in columns]


async def _with_steps(table: Any, strategy: str, query: np.ndarray, ranked: list[Ranked]) -> list[Ranked]:
    keys = await take(table, [row.row for row in ranked], VECTOR + strategy)
    return [row._replace(step=int(np.argmax(np.asarray(keys[row.row][0], dtype=np.float32) @ query))) for row in ranked]


async def take(table: Any, rows: Sequence[int], *columns: str) -> dict[int, tuple[Any, ...]]:
    """The values of some columns by the rows' places, which hold for this version of the table alone."""
    if not rows:
        return {}
    part = await table.take_row_ids(list(rows)).select(list(columns)).with_row_id().to_arrow()
    values = zip(*(part[column].to_pylist() for column in columns), strict=True)
    return dict(zip(part["_rowid"].to_pylist(), values, strict=True))


async def _words(table: Any, view: View, text: str) -> str:
    """The words to look for, each as often as it counts: those of the text, and in a short one what they mean in the bank.

    The vocabulary is that of the instructions, which every strategy's keys speak of and which are read fast. A word that is a
    guess counts half: all others are repeated for it.
    """
    words = damped(text)
    if words.count(" ") > _LONG or "instruction" not in view.schema.names:
        return words
    if not view.vocabulary:
        instructions = await table.query().select(["instruction"]).to_arrow()
        view.vocabulary.append(Vocabulary(pc.unique(instructions["instruction"]).to_pylist()))
    certain, guesses = view.vocabulary[0].meant(text)
    certain.insert(0, words)
    return " ".join([*certain, *certain, *guesses] if guesses else certain)


def damped(text: str) -> str:
    """The words of a text, each as often as the square root of its count, rounded up (Lucene's classic damping).

    The index counts a word again each time it occurs, in score and in time: a whole episode took 0.1 s of search at
    10,000 rows. Damped, it takes a tenth, and on ALFWorld runs finds the task's own type more often from the fifth step on.
    """
    counts = Counter(word for word in _BREAKS.split(text.lower()) if word)
    return " ".join(word for word, count in counts.items() for _ in range(math.ceil(math.sqrt(count))))
