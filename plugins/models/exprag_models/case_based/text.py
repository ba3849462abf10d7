"""What can be told from an English text without knowing the world it speaks of: names, numbers, refusals."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache

_WORD = re.compile(r"[a-z0-9]+(?:['\-][a-z0-9]+)*")
_ARTICLES = {"a", "an", "the", "some"}
_BREAK = re.compile(
    r"[\n.,;:()\[\]{}!?]|\b(?:and|is|are|was|you see|containing|contains|called|with|that|which|currently|nothing)\b",
    re.IGNORECASE,
)
_NUMBERED = re.compile(r"(?<= )([a-z][a-z'\-]*(?: [a-z][a-z'\-]*)?) (\d+)(?= )")
_TRAILING_NUMBER = re.compile(r"^(.*\D) (\d+)$")
_REFUSAL = re.compile(
    r"\b(?:can(?:no|')t|cannot|(?:do|does|did|is|was|are)(?:n't| not)|unable|"
    r"unknown (?:action|command|verb|input|word)|invalid|no known|no such|not (?:sure|clear|possible|here)|nothing happens|"
    r"broken|fails?|failed|already|refus\w+|illegal|impossible|understand)\b",
    re.IGNORECASE,
)
_QUESTION = re.compile(r"^\s*(\d+)\s*[:.)]\s+(\S.*)$", re.MULTILINE)


@lru_cache(maxsize=2048)
def plain(text: str) -> str:
    """The words of a text, lower case, without articles, with a space before and after: fit for `in`."""
    return f" {' '.join(word for word in _WORD.findall(text.lower()) if word not in _ARTICLES)} "


def words(text: str) -> list[str]:
    return plain(text).split()


def mentions(text: str, name: str) -> bool:
    """Whether a name stands in a text, word by word."""
    words_of_name = plain(name)
    return bool(words_of_name.strip()) and words_of_name in plain(text)


@lru_cache(maxsize=1024)
def phrases(text: str) -> tuple[str, ...]:
    """The short phrases between punctuation and linking words, in order, without doubles: what may be a name."""
    pieces = (plain(part).strip() for part in _BREAK.split(text))
    return tuple(dict.fromkeys(part for part in pieces if part and len(part.split()) <= 6))


@lru_cache(maxsize=1024)
def numbered(text: str) -> tuple[str, ...]:
    """Names with a number ("shelf 3"), in order, without doubles."""
    return tuple(dict.fromkeys(f"{name.split()[-1]} {number}" for name, number in _NUMBERED.findall(plain(text))))


@lru_cache(maxsize=8192)
def kind(name: str) -> str:
    """The name without its trailing number: what sort of thing it is."""
    name = plain(name).strip()
    hit = _TRAILING_NUMBER.match(name)
    return hit[1] if hit else name


def has_number(name: str) -> bool:
    return _TRAILING_NUMBER.match(plain(name).strip()) is not None


def refuses(text: str) -> bool:
    """Whether an observation reads as "that did not work"."""
    head = text[:160]
    return _REFUSAL.search(head) is not None and len(text) < 400


def choices(text: str) -> list[tuple[str, str]]:
    """The numbered options of a question ("0: take the cup\\n1: take the mug"); empty if it is none."""
    options = _QUESTION.findall(text)
    return options if len(options) > 1 else []


def closed(text: str, name: str) -> bool | None:
    """Whether a text says of a name that it is closed (True) or open (False); None if it says neither."""
    words_of_name = plain(name)
    for line in re.split(r"[\n.]|(?<=\)),?", text):
        if words_of_name in plain(line):
            sentence = plain(line)
            if " closed " in sentence:
                return True
            if " open " in sentence:
                return False
    return None


def lines(text: str) -> list[str]:
    """The lines, sentences and list items of a text: what is told in one of them belongs together."""
    return [line for line in re.split(r"\n|\. |: |,(?! which)", text) if line.strip()]


def longest_first(names: Iterable[str]) -> list[str]:
    """Names in an order of their own, whatever order they come in: a longer name before one that is a part of it."""
    return sorted(names, key=lambda name: (-len(name), name))


def head(name: str) -> str:
    """A name without what says where it is: "seed" of "seed in jar"."""
    name = plain(name).strip()
    return name.rpartition(" in ")[0] or name
