"""The steps of a thread as records, each validated once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from threading import Lock
from typing import Any

from cachetools import LRUCache

from exprag.errors import RecordError
from exprag.memory import MemoryState
from exprag.trajectory import Step

_EPISODES = 256  # episodes whose steps are remembered; one that was forgotten is validated again
_QUERY_LENGTH = 2_000  # characters of a query that a step's record holds
_records: LRUCache[str, tuple[list[Any], tuple[Step, ...]]] = LRUCache(_EPISODES)
_lock = Lock()


def steps_of(state: Mapping[str, Any]) -> tuple[Step, ...]:
    """The steps so far as Step records. Raises RecordError where one does not validate.

    Every node of every turn needs them, so the records of an episode are remembered and only what was added is validated: an
    episode of T steps validates T of them. A thread that was rewound or edited differs from what is remembered (the plain
    steps are compared), and is validated from there on.
    """
    plain = list(state.get("steps", ()))
    episode = str(state.get("episode", ""))
    with _lock:
        old, records = _records.get(episode, ([], ()))
    same = _same_start(old, plain)
    try:
        steps = (*records[:same], *(Step.from_dict(step) for step in plain[same:]))
    except RecordError as error:
        raise RecordError(
            f"The steps of this thread do not validate: {error.message}",
            cure="Another version of exprag wrote them, or they were edited by hand: fork from an earlier step.",
        ) from error
    with _lock:
        _records[episode] = (plain, steps)
    return steps


def new_query(memory: MemoryState, steps: Sequence[Mapping[str, Any]]) -> str | None:
    """What the next step's record says of the query in force: None where the last steps say it already.

    Of a long one the middle is left out, since the query of a dynamic strategy may grow to the whole episode at every step.
    """
    query = memory.query
    if len(query) > _QUERY_LENGTH:
        half = _QUERY_LENGTH // 2
        query = f"{query[:half]} … {query[-half:]}"
    last = next((step["query"] for step in reversed(steps) if step.get("query") is not None), "")
    return query if query != last else None


def _same_start(old: list[Any], new: list[Any]) -> int:
    """How many of the first steps are the same in both. Equal objects compare by identity first, which is quick."""
    length = min(len(old), len(new))
    if old[:length] == new[:length]:
        return length
    return next(place for place in range(length) if old[place] != new[place])
