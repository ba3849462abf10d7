"""Text that others wrote: surrogates and UTF-8, and markup made inert.

Records keep any Python string, lone surrogates included, because model answers and games contain them. Where a library or a
file takes UTF-8 only, `utf8` or `encodable` writes such a string in a form that it accepts.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any

_SURROGATE = re.compile("[\ud800-\udfff]")
_TERMINAL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
# Invisible characters: control characters but tab and line feed, and what Unicode calls default ignorable (zero-width, direction
# and language marks, fillers, variation selectors). Inside a token they hide it from a search, and a tokenizer may drop them.
_INVISIBLE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202e\u2060-\u206f\u3164"
    "\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)
# What chat templates and current models treat as markup, whoever wrote it: <|…|> in any spelling, tags of roles, turns, tools,
# reasoning and images, <function=…>, tags with an underscore in their name, and Mistral's words in brackets.
_TAGS = (
    "experience|document|s|bos|eos|cls|sep|pad|mask|unk|eod|system|user|assistant|human|model|tools?|think|thinking|thought|reasoning|"
    "invoke|parameter|function|functions|turn|image|images|img|audio|video|vision|filename|reponame|endoftext|observation"
)
_BRACKETS = (
    "INST|SYSTEM_PROMPT|AVAILABLE_TOOLS|TOOL_CALLS|TOOL_RESULTS|TOOL_CONTENT|THINK|IMG|IMG_BREAK|IMG_END|ARGS|CALL_ID|PREFIX|MIDDLE|"
    "SUFFIX|AUDIO|BEGIN_AUDIO|TRANSCRIBE|MODEL_SETTINGS|CONTROL_\\d+|gMASK"
)
_MARKUP = re.compile(
    rf"<(?=/?[|｜])|<(?=/?(?:{_TAGS})\b[^<>\n]{{0,80}}>)|<(?=/?\w{{1,40}}(?:[|｜]>|=))|<(?=/?\w*_\w*>)|<(?=/?(?:unused|extra_id)\w*>)"
    rf"|<(?=</?SYS>>)|\[(?=/?(?:{_BRACKETS})\])",
    re.IGNORECASE,
)
_LOOK_ALIKE = {"<": "\u2039", "[": "\u27e6", "{": "\u2774", "(": "\u2768", "|": "\u00a6"}


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


def utf8_in(data: Any) -> Any:
    """JSON-like data with each of its texts as `utf8` has it."""
    if isinstance(data, str):
        return utf8(data)
    if isinstance(data, list | tuple):
        return [utf8_in(item) for item in data]
    return {utf8_in(name): utf8_in(item) for name, item in data.items()} if isinstance(data, dict) else data


def encodable(text: str) -> str:
    """The text as a tokenizer or a server takes it: lone surrogates become question marks."""
    return text.encode("utf-8", "replace").decode("utf-8")


def printable(text: str) -> str:
    """The text as a terminal may show it: no control character, no escape sequence, nothing that it cannot encode."""
    return _TERMINAL.sub("\ufffd", utf8(text))


@lru_cache(maxsize=4096)
def defuse(text: str) -> str:
    """Foreign text made inert: markup of chat templates gets a look-alike for its first character, invisible characters go.

    Everything else stays as it is, and doing it twice is doing it once. It knows the tokens of current models by pattern; where
    the model's own tokenizer is at hand, `exprag.models.tokens.defuser` knows them exactly.
    """
    while (clean := _MARKUP.sub(lambda match: _LOOK_ALIKE[match[0]], _INVISIBLE.sub("", text))) != text:
        text = clean
    return text


def break_token(token: str) -> str:
    """A special token as text that is none: its first character is replaced by a look-alike, else a dot is set into it."""
    first = token[:1]
    return _LOOK_ALIKE[first] + token[1:] if first in _LOOK_ALIKE else f"{first}\u00b7{token[1:]}"


_ESCAPES = re.compile(
    r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b\n]*(?:\x07|\x1b\\)?|[@-_])?|[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]"
)


def without_controls(text: str) -> str:
    """The text without terminal escape sequences and control characters; tabs and line ends stay."""
    return _ESCAPES.sub("", text)


HIDDEN = "[hidden]"
_MIN_SECRET = 8  # shorter values of environment variables are words, and occur in ordinary text
_MIN_REMEMBERED = 4
_SECRET_NAME = re.compile(r"(?:KEY|TOKEN|SECRET|PASSWORD|PASSWD|CREDENTIALS?)$", re.IGNORECASE)
_CREDENTIAL = re.compile(
    r"(?P<url>\b[a-z][a-z0-9+.-]*://[^\s/?#@:]*:)[^\s/?#@]+(?=@)"
    r"|(?P<name>\b[\w-]*(?:api[_-]?key|access[_-]?key|auth[_-]?token|access[_-]?token|secret|password|passwd)[\"']?\s*[=:]\s*[\"']?)"
    r"(?!\$)[^\s\"'&,;)}\]]+"
    r"|(?P<bearer>\b(?:Bearer|Basic)\s+)[A-Za-z0-9+/=._~-]{6,}"
    r"|\b(?-i:[sprx]k-|xai-|hf_|gsk_|gh[pousr]_|AIza)[A-Za-z0-9_*-]{16,}",
    re.IGNORECASE,
)
_secrets: set[str] = set()


def remember_secret(value: str) -> None:
    """Have `redact` hide this value wherever it occurs: a credential that came in a model spec. One too short to be a secret
    ("3", "x") is hidden only where its place tells that it is one: elsewhere it would spoil every text."""
    if len(value) >= _MIN_REMEMBERED:
        _secrets.add(value)


def redact(text: str) -> str:
    """The text with credentials replaced by `[hidden]`.

    Credentials are passwords in URLs, what follows `api_key=` and the like, bearer tokens, keys in the form of well-known
    services, values that `remember_secret` got, and the values of environment variables whose names end in KEY, TOKEN, SECRET
    or PASSWORD.
    """
    return redactor()(text)


def redactor() -> Callable[[str], str]:
    """`redact` for many texts: the environment is read once, now."""
    values = {value for name, value in os.environ.items() if len(value) >= _MIN_SECRET and _SECRET_NAME.search(name)}
    secrets = sorted(values | _secrets, key=len, reverse=True)

    def hide(text: str) -> str:
        text = _CREDENTIAL.sub(lambda hit: f"{hit['url'] or hit['name'] or hit['bearer'] or ''}{HIDDEN}", text)
        for secret in secrets:
            text = text.replace(secret, HIDDEN)
        return text

    return hide
