"""Credentials are not shown: neither those in a run's configuration nor those that a server's error message repeats."""

from __future__ import annotations

from typing import Any

from exprag.text import redact


def redacted(value: Any, name: str = "") -> Any:
    """JSON-like data with the credentials in its texts hidden. A field's name counts: the value of `api_key` is hidden."""
    if isinstance(value, dict):
        return {key: redacted(item, str(key)) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [redacted(item, name) for item in value]
    if isinstance(value, str) and value:
        return redact(f"{name}={value}").removeprefix(f"{name}=") if name else redact(value)
    return value
