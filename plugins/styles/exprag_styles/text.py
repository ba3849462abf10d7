"""What all styles do with a model's text: reasoning tags, code fences, quotes and bullets round an action."""

from __future__ import annotations

import json
import re
from typing import Any

_REASONING = re.compile(r"<(think|thinking|reasoning)>(.*?)(?:</\1>|\Z)", re.DOTALL | re.IGNORECASE)
_FENCE = re.compile(r"^\s*(?:```|~~~)[\w-]*\s*$", re.MULTILINE)
_PREFIX = re.compile(r"^(?:[>*\-•\s]+|(?:next\s+)?action\s*(?:\d+\s*)?:\s*|\d+[.)]\s+)+", re.IGNORECASE)
_MARKS = "`\"'*_"


def split_reasoning(response: str) -> tuple[str, str]:
    """(what stands in reasoning tags, the rest). Reasoning that was cut off by a token limit has no end tag."""
    found = [" ".join(hit[2].split()) for hit in _REASONING.finditer(response)]
    return " ".join(text for text in found if text), _REASONING.sub("", response)


def unfence(text: str) -> str:
    """The text without the lines that open or close a code fence."""
    return _FENCE.sub("", text)


def bare(line: str) -> str:
    """An action without bullets, numbers, "Action:" and quotes round it."""
    return _PREFIX.sub("", line.strip()).strip(_MARKS).strip()


def lines_of(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip()]


def one_line(text: str) -> str:
    return " ".join(text.split())


def read_json(text: str) -> dict[str, Any] | None:
    """The first JSON object in the text, or None."""
    start = text.find("{")
    if start < 0:
        return None
    try:
        found, _ = json.JSONDecoder().raw_decode(text[start:])
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None
