"""How errors are shown: the boundary, what was expected, what to do. Nothing in them reaches the terminal as an escape."""

from __future__ import annotations

import errno
from collections.abc import Iterable

from cyclopts import CycloptsError, UnknownCommandError, UnknownOptionError, UnusedCliTokensError
from rich.console import Console
from rich.text import Text

from exprag.cli.fields import option
from exprag.config import Settings
from exprag.errors import closest
from exprag.text import printable, redact

EACH = ("--arm", "--set")
"""Options that took any field, NAME=VALUE."""
RENAMED = {"--profile": "--recipe"}
"""Options that have another name and are not fields."""
CURES = {
    errno.ENOTDIR: "There is a file where a folder is needed: name another place.",
    errno.EEXIST: "There is a file where a folder is needed: name another place.",
    errno.EISDIR: "There is a folder where a file is needed: name another place.",
    errno.ENOENT: "Name one that is there.",
    errno.ENOSPC: "Make room, then run the same command again.",
}


def show(boundary: str, message: str, cure: str = "") -> None:
    """An error on stderr, in red, and its cure."""
    console = Console(stderr=True)
    console.print(Text.assemble((f"{boundary}: ", "bold red"), printable(redact(message))), soft_wrap=not console.is_terminal)
    if cure:
        console.print(Text(printable(redact(cure)), style="cyan"), soft_wrap=not console.is_terminal)


def unexpected(error: Exception) -> None:
    """An error that nobody foresaw; what the operating system refuses is said in its own words."""
    if isinstance(error, OSError) and error.strerror:
        place = f"{error.filename}: " if error.filename is not None else ""
        cure = CURES.get(error.errno or 0, "Make it possible to read and write there, then run the same command again.")
        show("files", f"{place}{error.strerror}.", cure)
        return
    cure = "Set EXPRAG_TRACEBACK=1 and run it again to see where; please report it."
    show("unexpected", f"{type(error).__name__}: {error}", cure)


def wrong_line(error: CycloptsError, commands: Iterable[str]) -> None:
    """A command line that does not parse: what is wrong, the near name or the new one, and where help is.

    `commands` are the names of all commands.
    """
    command = " ".join(["exprag", *(error.command_chain or ())])
    if isinstance(error, UnknownCommandError) and error.unused_tokens and not error.command_chain:
        word = error.unused_tokens[0]  # answered here, since cyclopts would import every command for its message
        show("command line", f"There is no command {word!r}.", f"{closest(word, list(commands))} {command} --help lists all.")
        return
    message = str(error)
    if isinstance(error, UnusedCliTokensError) and error.unused_tokens:
        message = f"There is no place for {', '.join(map(repr, error.unused_tokens))}."
    if isinstance(error, UnknownOptionError):
        word = (error.token.keyword or error.token.value).partition("=")[0]
        there = {name for argument in error.argument_collection for name in argument.names}
        message = _renamed(word, there) or message
    show("command line", message, f"{command} --help lists what there is.")


def _renamed(word: str, there: Iterable[str]) -> str:
    """What is said of an option of version 0.1; empty for one that never was."""
    names = set(there)
    for settings in _settings():
        old_names = {option(old): option(new) for old, new in settings.old_names.items()}
        if old_names.get(word) in names:
            return f"Unknown option: {word}. It is called {old_names[word]} now."
    if RENAMED.get(word) in names:
        return f"Unknown option: {word}. It is called {RENAMED[word]} now."
    if word in EACH and names & {"--k", "--r"}:
        return f"Unknown option: {word}. Each field is an option of its own now."
    return ""


def _settings() -> list[type[Settings]]:
    from exprag.config import AgentConfig
    from exprag.runs.config import RunConfig
    from exprag.training.rows.config import DataConfig
    from exprag.training.sft.recipes import Recipe

    return [AgentConfig, RunConfig, DataConfig, Recipe]
