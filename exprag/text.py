"""Text that others wrote: surrogates and UTF-8, and markup made inert.

Records keep any Python string, lone surrogates included, because model answers and games contain them. Where a library or a
file takes UTF-8 only, `utf8` or `encodable` writes such a string in a form that it accepts.
"""

from __future__ import annotations

import re

_SURROGATE = re.compile("[\ud800-\udfff]")
_TERMINAL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
# What chat templates treat as markup, whoever wrote it; the first character is swapped for a look-alike.
_MARKUP = re.compile(
    r"<(?=\|)|<(?=/?(?:experience|document|s|bos|eos|system|user|assistant|tool_call|tool_response|think|unk|pad|mask)\b[^<>\n]{0,40}>)"
    r"|<(?=(?:start|end)_of_(?:turn|text|image)>)|<(?=</?SYS>>)|<(?=[｜|])|\[(?=/?(?:INST|SYSTEM_PROMPT|AVAILABLE_TOOLS|TOOL_CALLS|TOOL_RESULTS)\])",
    re.IGNORECASE,
)
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\u200b-\u200f\u202a-\u202e\u2066-\u2069\ufeff]")


def pair_surrogates(text: str) -> str:
    """Join two halves of one character that arrive as two code points: JSON would join them, so records do it on the way in."""
    if text.isascii() or _SURROGATE.search(text) is None:
        return text
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")


def utf8(text: str) -> str:
    """The text as a UTF-8 column or file can hold it: lone surrogates become escapes, so that two texts stay two."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return pair_surrogates(text).encode("utf-8", "backslashreplace").decode("utf-8")
    return text


def encodable(text: str) -> str:
    """The text as a tokenizer or a server takes it: lone surrogates become question marks."""
    return text.encode("utf-8", "replace").decode("utf-8")


def printable(text: str) -> str:
    """The text as a terminal may show it: no control character, no escape sequence, nothing that it cannot encode."""
    return _TERMINAL.sub("\ufffd", utf8(text))


def defuse(text: str) -> str:
    """Make markup of chat templates inert and remove control characters; everything else stays as it is."""
    return _CONTROL.sub("", _MARKUP.sub(lambda m: "\u2039" if m[0] == "<" else "\u27e6", text))
