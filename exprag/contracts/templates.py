"""Action templates: matching an action against forms such as "put {object} in {receptacle}"."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache

SLOT = re.compile(r"\{(\w+)\}")


@lru_cache(maxsize=1024)
def pattern(template: str) -> re.Pattern[str]:
    """The template as a regular expression: literal words, one group per slot, case ignored."""
    parts = SLOT.split(template)
    literal = [re.escape(part) for part in parts[0::2]]
    return re.compile("(.+?)".join(literal), re.IGNORECASE | re.DOTALL)


def match(action: str, templates: Iterable[str]) -> tuple[str, tuple[str, ...]] | None:
    """The template that the whole action fits, with its slot values; the one with the most literal text wins."""
    text = action.strip()
    fits = [(template, hit.groups()) for template in templates if (hit := pattern(template).fullmatch(text))]
    return max(fits, key=lambda item: len(SLOT.sub("", item[0])), default=None)


def fill(template: str, values: Iterable[str]) -> str:
    """The template with its slots filled in order."""
    supply = iter(values)
    return SLOT.sub(lambda _: next(supply), template)
