"""What all styles do with a line of a model's text: code fences, bullets, labels and quotes round an action, and JSON."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from exprag.contracts.templates import match

_FENCE = re.compile(r"^\s*(?:```|~~~)[\w-]*\s*$", re.MULTILINE)
_PREFIX = re.compile(
    r"^(?:[>*_`\-•\s]+|(?:(?:my|the)\s+)?(?:next\s+)?action\s*(?:\d+\s*)?[*_`]*\s*:[*_`\s]*|\d+[.)]\s+)+", re.IGNORECASE
)
_OTHER_LABEL = re.compile(r"^(?:(?:my|the|final|next)\s+)*(?:answer|response|output|command|move|step)[*_`]*\s*:", re.IGNORECASE)
_PAIRS = {'"': '"', "'": "'", "`": "`", "*": "*", "_": "_", "“": "”", "‘": "’", "«": "»", "「": "」"}
_STRAY = "`*"


def unfence(text: str) -> str:
    """The text without the lines that open or close a code fence."""
    return _FENCE.sub("", text)


def bare(line: str, templates: Sequence[str] = ()) -> str:
    """An action without bullets, numbers, "Action:", and the quotes or marks that stand round the whole of it.

    Another label ("Answer:") comes off where what follows fits an action template and the whole does not.
    """
    text = _PREFIX.sub("", line.strip()).strip()
    while len(text) > 1 and text[-1] == _PAIRS.get(text[0]):
        text = text[1:-1].strip()
    for mark in "\"'":  # an opening quote that a bullet or a label hid, or one that was never closed
        if text.count(mark) == 1 and (text[:1] == mark or text[-1:] == mark):
            text = text.strip(mark)
    text = text.strip(_STRAY).strip()
    label = _OTHER_LABEL.match(text)
    if label and not match(text, templates) and match(rest := bare(text[label.end() :]), templates):
        return rest
    return text


def lines_of(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip()]


def one_line(text: str) -> str:
    return " ".join(text.split())


def read_json(text: str) -> dict[str, Any] | None:
    """The first JSON object in the text, or None; of a tool call written as text, its arguments."""
    start = text.find("{")
    if start < 0:
        return None
    try:
        answer, _ = json.JSONDecoder().raw_decode(text[start:])
    except (ValueError, RecursionError):
        return None
    if not isinstance(answer, dict):
        return None
    arguments = next((answer[key] for key in ("arguments", "parameters") if isinstance(answer.get(key), Mapping)), None)
    return dict(arguments) if arguments is not None and "name" in answer else answer
