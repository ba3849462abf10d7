"""`exprag validate`: the conformance kits, as a command."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape

from exprag.cli.words import name_values
from exprag.plugins import create

if TYPE_CHECKING:
    from exprag.testing import Result
    from exprag.trajectory import Trajectory

app = typer.Typer(help="Check a plugin against the contract that the rest of exprag relies on.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(help="Plugin, or an import path module:Class.")]
Set = Annotated[list[str] | None, typer.Option("--set", help="Option of the plugin NAME=VALUE (JSON, or text); repeatable.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
BankOption = Annotated[
    Path | None, typer.Option("--bank", help="Examine it with episodes of this bank.  [default: made-up ones]")
]
Limit = Annotated[int, typer.Option(min=2, help="At most so many episodes of the bank.")]


@app.callback()
def validate() -> None:
    """Check a plugin against the contract that the rest of exprag relies on."""


@app.command()
def env(
    name: Name,
    tasks: Annotated[int, typer.Option(help="Tasks of each split to play.")] = 2,
    split: Annotated[
        str | None, typer.Option(help="Instead: let the expert play every task of this split; each must be won.")
    ] = None,
    set_: Set = None,
    as_json: Json = False,
) -> None:
    """Check an environment; exit code 1 if a check fails."""
    from exprag.testing import check_environment, check_split

    make = _maker("environment", name, set_)
    _show(check_environment(make, tasks) if split is None else check_split(make, split), as_json)


@app.command()
def strategy(name: Name, bank: BankOption = None, limit: Limit = 200, set_: Set = None, as_json: Json = False) -> None:
    """Check a query strategy; exit code 1 if a check fails."""
    from exprag.testing import check_strategy

    _show(check_strategy(_maker("query_strategy", name, set_), _episodes(bank, limit)), as_json)


@app.command()
def selector(name: Name, bank: BankOption = None, limit: Limit = 200, set_: Set = None, as_json: Json = False) -> None:
    """Check a selector; exit code 1 if a check fails."""
    from exprag.testing import check_selector

    _show(check_selector(_maker("selector", name, set_), _episodes(bank, limit)), as_json)


@app.command()
def formatter(name: Name, bank: BankOption = None, limit: Limit = 200, set_: Set = None, as_json: Json = False) -> None:
    """Check a formatter; exit code 1 if a check fails."""
    from exprag.testing import check_formatter

    _show(check_formatter(_maker("formatter", name, set_), _episodes(bank, limit)), as_json)


@app.command()
def style(name: Name, set_: Set = None, as_json: Json = False) -> None:
    """Check an agent style; exit code 1 if a check fails."""
    from exprag.testing import check_style

    _show(check_style(_maker("style", name, set_)), as_json)


def _maker(kind: str, name: str, options: list[str] | None) -> Callable[[], Any]:
    make = partial(create, kind, name, **name_values(options))
    make()  # an unknown name or a missing extra is said at once, not by every check
    return make


def _episodes(bank: Path | None, limit: int) -> list[Trajectory]:
    if bank is None:
        return []
    from itertools import islice

    from exprag.bank import Bank
    from exprag.errors import ConfigError

    found = list(islice(Bank.open(bank).trajectories(), limit))
    if len(found) < 2:
        raise ConfigError(f"The bank {bank} holds {len(found)} episodes.", cure="Give one with two or more, or none.")
    return found


def _show(results: Iterable[Result], as_json: bool) -> None:
    console = Console(stderr=as_json)
    shown = []
    for result in results:
        shown.append(result)
        mark = {True: "[green]✓[/]", False: "[red]✗[/]", None: "[yellow]–[/]"}[result.passed]
        console.print(f"{mark} [bold]{escape(result.name)}[/]  {escape(result.detail)}  [dim]{result.seconds:.1f} s[/]")
    if as_json:
        print(json.dumps([asdict(result) for result in shown], indent=2))
    if any(result.passed is False for result in shown):
        raise typer.Exit(1)
