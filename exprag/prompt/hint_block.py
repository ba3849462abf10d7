"""Hints as one block after the task and before the worked examples, and what an episode's record says of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from exprag.memory import MemoryState, ShownHint
from exprag.prompt.block import approximate_tokens
from exprag.trajectory import Trajectory

HINTS = (
    "Rules that earlier failures taught. Apply them silently, never quote them, and trust the observation where they disagree:"
)
RECORD = "hints"
"""Where an episode's provenance (`extra`) keeps which hints it read, see `hint_record`."""


def hint_block(hints: Sequence[str], defuse: Callable[[str], str]) -> str:
    """The rules of use, and each hint on a line of its own, made inert."""
    return "\n".join([HINTS, *(f"- {defuse(' '.join(hint.split()))}" for hint in hints)])


def within_budget(
    hints: Sequence[ShownHint], budget: int | None, count_tokens: Callable[[str], int] = approximate_tokens
) -> tuple[ShownHint, ...]:
    """The first hints whose block takes at most `budget` tokens; one that does not fit is passed over."""
    if budget is None:
        return tuple(hints)
    kept: list[ShownHint] = []
    for hint in hints:
        if count_tokens(hint_block([*(each.text for each in kept), hint.text], str)) <= budget:
            kept.append(hint)
    return tuple(kept)


def hint_ids(episode: Trajectory) -> tuple[str, ...]:
    """The hints that stood in the prompts of an episode, by id."""
    record = episode.provenance.extra.get(RECORD)
    ids = record.get("ids") if isinstance(record, dict) else None
    return tuple(str(id) for id in ids) if isinstance(ids, list) else ()


def hint_record(memory: MemoryState | None) -> dict[str, Any]:
    """What the provenance of an episode says of the hints that stood in each of its prompts; empty without hints. Tokens of the
    block are approximate; `retrieval` are those of the model that chose: {"ids": […], "tokens": …, "retrieval": {"prompt": …,
    "completion": …}}."""
    if memory is None or not (memory.hints or memory.hint_usage):
        return {}
    tokens = approximate_tokens(hint_block([hint.text for hint in memory.hints], str)) if memory.hints else 0
    record: dict[str, Any] = {"ids": [hint.id for hint in memory.hints], "tokens": tokens}
    if memory.hint_usage is not None:
        usage = memory.hint_usage
        record["retrieval"] = {"prompt": usage.prompt, "completion": usage.completion}
    return {RECORD: record}
