"""JSON as the formatters write and read it."""

from __future__ import annotations

import json
from typing import Any


def write(value: Any, compact: bool = False) -> str:
    """The value in one line of JSON, escaped only where UTF-8 could not carry it: models read plain text better than \\u
    escapes. `compact` leaves out the spaces after commas and colons."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":") if compact else None)
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def read(text: str) -> Any:
    """The value, or None where the text is not JSON."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def strings(values: Any) -> bool:
    """Whether all of them are strings."""
    return all(isinstance(value, str) for value in values)
