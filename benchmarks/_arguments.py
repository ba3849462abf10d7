"""What the benchmarks share of their command lines."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any


def name_values(texts: Iterable[str] | None) -> dict[str, Any]:
    """NAME=VALUE pairs as options; a value is JSON where it parses as such, else text."""
    options: dict[str, Any] = {}
    for text in texts or ():
        name, _, value = text.partition("=")
        try:
            options[name] = json.loads(value)
        except ValueError:
            options[name] = value
    return options
