"""Credentials are not shown: neither those in a run's configuration nor those that a server's error message repeats."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from exprag.text import redactor


def redacted(value: Any, name: str = "", hide: Callable[[str], str] | None = None) -> Any:
    """JSON-like data with the credentials in its texts hidden. A field's name counts: the value of `api_key` is hidden.
    `hide`: what hides them in a text; default: `exprag.text.redactor()`."""
    hide = hide or redactor()
    if isinstance(value, dict):
        return {key: redacted(item, str(key), hide) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [redacted(item, name, hide) for item in value]
    if isinstance(value, str) and value:
        return hide(f"{name}={value}").removeprefix(f"{name}=") if name else hide(value)
    return value
