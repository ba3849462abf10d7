"""What people type: lists with commas, NAME=VALUE pairs, paths with ~; and the parameters that many commands share."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter, Token
from rich.text import Text

from exprag.errors import ConfigError
from exprag.text import printable
from exprag.traces import AUTO


def listed(text: str) -> tuple[str, ...]:
    """The parts of "a, b,c"; none of an empty text."""
    return tuple(part.strip() for part in text.split(",") if part.strip())


def whole_numbers(text: str, option: str) -> list[int]:
    """The numbers of "1,2,4". Raises ConfigError for anything else."""
    parts = listed(text)
    if not all(part.isdecimal() for part in parts):
        raise ConfigError(f"{option} takes whole numbers, comma-separated; not {text!r}.")
    return [int(part) for part in parts]


def name_values(texts: Iterable[str] | None, option: str = "--set") -> dict[str, Any]:
    """NAME=VALUE pairs; a value is JSON where it parses as such, else text."""
    options: dict[str, Any] = {}
    for text in texts or ():
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise ConfigError(f"{option} takes NAME=VALUE, not {text!r}.")
        try:
            options[name] = json.loads(value)
        except (ValueError, RecursionError):
            options[name] = value
    return options


def expanded(text: str) -> str:
    """The text with a leading ~ or ~NAME replaced by that home folder, as a shell does it for a word of its own."""
    return os.path.expanduser(text) if text.startswith("~") else text


def plain(text: str, style: str = "") -> Text:
    """Stored text is untrusted: no markup, no terminal escapes, nothing that the terminal cannot encode."""
    return Text(printable(text), style=style)


def _path(_: Any, tokens: tuple[Token, ...]) -> Path:
    if not tokens[0].value:
        raise ConfigError(f"{tokens[0].keyword or 'The path'} is empty.", cure="Name a file or a folder.")
    return Path(expanded(tokens[0].value))


def place(_: Any, tokens: tuple[Token, ...]) -> str:
    """Converter of a folder or URI, with ~ expanded."""
    return expanded(tokens[0].value)


def _paths(_: Any, tokens: tuple[Token, ...]) -> list[Path]:
    return [_path(_, (token,)) for token in tokens]


def _texts(_: Any, tokens: tuple[Token, ...]) -> list[str]:
    return [expanded(token.value) for token in tokens]


def path(help: str, *names: str) -> Any:
    """The parameter of a file or folder, with ~ expanded."""
    return Parameter(name=names or None, help=help, converter=_path, n_tokens=1)


def paths(help: str, *names: str) -> Any:
    """The parameter of several files or folders."""
    return Parameter(name=names or None, help=help, converter=_paths)


def texts(help: str, *names: str, metavar: str | None = None) -> Any:
    """The parameter of several texts, each as it is but for a leading ~."""
    return Parameter(name=names or None, help=help, converter=_texts, metavar=metavar)


def out(help: str) -> Any:
    """The parameter --out, -o of a file or folder to write."""
    return path(help, "--out", "-o")


TraceFormat = Annotated[
    str, Parameter(help=f"Trace format, such as atif, openai, sharegpt (see exprag plugins); {AUTO}: each row is recognised.")
]
TraceEnv = Annotated[
    str, Parameter(name=("--environment", "--env", "-e"), help="Name of the environment that rows of other formats are of.")
]
Json = Annotated[bool, Parameter(name="--json", help="Print JSON, and nothing else, on stdout.")]
Set = Annotated[
    list[str] | None, texts("Option of the plugin; the value is JSON, or text. Repeatable.", "--set", metavar="NAME=VALUE")
]
