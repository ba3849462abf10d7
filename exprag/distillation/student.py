"""Stage D: rows of the teacher's episodes without hints and worked examples, everything else intact, and the check of that.

The rows come from the code that any training rows come from, for the agent that the student is to be. So the first observation
stays where it was, and nothing is cut: the two faults of the published code.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

from exprag.config import AgentConfig
from exprag.evaluation.audit import blocks_in


def leaks(rows: Iterable[dict[str, Any]], hints: Collection[str] = ()) -> list[str]:
    """"row: what it holds", for each row in which a hint block, worked examples, or one of these hints stands. Turns of the
    assistant count too: a teacher that quotes a hint would teach the quoting."""
    lines = [" ".join(hint.split()) for hint in hints]
    problems = []
    for row in rows:
        texts = [" ".join(str(message["content"]).split()) for message in row["messages"]]
        marks = blocks_in(str(row["messages"][0]["content"]), AgentConfig())
        quotes = [f"the hint {line[:60]!r}" for line in lines if any(line in text for text in texts)]
        problems += [f"{row['id']}: {what}" for what in (*marks, *quotes)]
    return problems
