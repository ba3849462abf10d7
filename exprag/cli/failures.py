"""How errors are shown: the boundary, what was expected, what to do. Nothing in them reaches the terminal as an escape."""

from __future__ import annotations

from collections.abc import Iterable

from cyclopts import CycloptsError, UnknownOptionError
from rich.console import Console
from rich.text import Text

from exprag.cli.fields import option
from exprag.config import Settings
from exprag.text import printable, redact

EACH = ("--arm", "--set")
"""Options that took any field, NAME=VALUE."""
RENAMED = {"--profile": "--recipe"}
"""Options that have another name and are not fields."""


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
        show("files", f"{place}{error.strerror}.", "Make it possible to read and write there, then run the same command again.")
        return
    cure = "Set EXPRAG_TRACEBACK=1 and run it again to see where; please report it."
    show("unexpected", f"{type(error).__name__}: {error}", cure)


def wrong_line(error: CycloptsError) -> None:
    """A command line that does not parse: what is wrong, the near name or the new one, and where help is."""
    command = " ".join(["exprag", *(error.command_chain or ())])
    message = str(error)
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
