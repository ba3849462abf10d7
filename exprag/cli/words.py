"""What people type and what they are shown: lists with commas, NAME=VALUE pairs, stored text on a terminal."""

from __future__ import annotations

import json
import re
from typing import Any

from rich.text import Text

from exprag.errors import ConfigError

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def listed(text: str) -> tuple[str, ...]:
    """The parts of "a, b,c"; none of an empty text."""
    return tuple(part.strip() for part in text.split(",") if part.strip())


def name_values(texts: list[str] | None, option: str = "--set") -> dict[str, Any]:
    """NAME=VALUE pairs; a value is JSON where it parses as such, else text."""
    options: dict[str, Any] = {}
    for text in texts or ():
        name, equals, value = text.partition("=")
        if not equals:
            raise ConfigError(f"{option} takes NAME=VALUE, not {text!r}.")
        try:
            options[name] = json.loads(value)
        except ValueError:
            options[name] = value
    return options


def plain(text: str, style: str = "") -> Text:
    """Stored text is untrusted: no markup, no terminal escapes, nothing that the terminal cannot encode."""
    from exprag.text import utf8

    return Text(_CONTROL.sub("\ufffd", utf8(text)), style=style)
