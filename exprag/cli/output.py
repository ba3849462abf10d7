"""What commands print. Names, paths and stored text are untrusted: they never reach the terminal as markup or escapes."""

from __future__ import annotations

import io
import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from typing import TYPE_CHECKING, Any, TextIO

from exprag.cli.words import plain
from exprag.text import utf8

if TYPE_CHECKING:
    from rich.console import Console

_results: TextIO | None = None


def console(*, stderr: bool = False) -> Console:
    """A console on the streams as they are now; on stderr too while stdout is kept for results."""
    from rich.console import Console

    return Console(stderr=stderr or _results is not None, highlight=False, markup=False)


def say(text: str, style: str = "", *, stderr: bool = False) -> None:
    """Print one line of plain text, wrapped by the terminal alone."""
    console(stderr=stderr).print(plain(text, style), soft_wrap=True)


def write_json(data: Any) -> None:
    """Print JSON as the result of a command."""
    write_result(json.dumps(data, indent=2) + "\n")


def write_result(text: str) -> None:
    """Print the result of a command: on stdout, whatever else is redirected."""
    out = _results or sys.stdout
    out.write(utf8(text))
    out.flush()


@contextmanager
def results_only() -> Iterator[None]:
    """While it lasts, stdout holds only what `write_result` writes: what plugins and libraries print goes to stderr, also where
    they write to the file descriptor."""
    global _results
    out, copy = sys.stdout, None
    out.flush()
    try:
        number, errors = out.fileno(), sys.stderr.fileno()
    except (AttributeError, OSError, io.UnsupportedOperation):  # a stream without a file: a test's, a notebook's
        number = -1
    if number >= 0:
        copy = os.dup(number)
        os.dup2(errors, number)
        _results = os.fdopen(os.dup(copy), "w", encoding="utf-8")
    else:
        _results = out
    try:
        with redirect_stdout(sys.stderr):
            yield
    finally:
        if copy is not None:
            _results.close()
            out.flush()
            os.dup2(copy, number)
            os.close(copy)
        _results = None
