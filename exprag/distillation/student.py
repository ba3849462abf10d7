"""Stage D: rows of the teacher's episodes without hints and worked examples, everything else intact, and the check of that.

The rows come from the code that any training rows come from, for the agent that the student is to be. So the first observation
stays where it was, and nothing is cut: the two faults of the published code.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

from exprag.prompt.hint_block import HINTS
from exprag.prompt.prompt import EXAMPLES


def leaks(rows: Iterable[dict[str, Any]], hints: Collection[str] = ()) -> list[str]:
    """"row: what it holds", for each row in which a hint block, worked examples, or one of these hints stands. Turns of the
    assistant count too: a teacher that quotes a hint would teach the quoting."""
    lines = [" ".join(hint.split()) for hint in hints]
    problems = []
    for row in rows:
        texts = [" ".join(str(message["content"]).split()) for message in row["messages"]]
        marks = [name for name, mark in (("a hint block", HINTS), ("worked examples", EXAMPLES)) if mark in texts[0]]
        quotes = [f"the hint {line[:60]!r}" for line in lines if any(line in text for text in texts)]
        problems += [f"{row['id']}: {what}" for what in (*marks, *quotes)]
    return problems
