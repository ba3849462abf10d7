"""`exprag validate`: the conformance kits, as a command."""

from __future__ import annotations

import json
from dataclasses import asdict
from functools import partial
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from exprag.cli.run import Set, name_values
from exprag.plugins import create

app = typer.Typer(help="Check a plugin against the contract that the rest of exprag relies on.", no_args_is_help=True)


@app.callback()
def validate() -> None:
    """Check a plugin against the contract that the rest of exprag relies on."""


@app.command()
def env(
    name: Annotated[str, typer.Argument(help="Environment plugin, or an import path module:Class.")],
    tasks: Annotated[int, typer.Option(help="Tasks of each split to play.")] = 2,
    set_: Set = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Check an environment; exit code 1 if a check fails."""
    from exprag.testing import check_environment

    console = Console(stderr=as_json)
    results = []
    make = partial(create, "environment", name, **name_values(set_))
    make()  # an unknown name or a missing extra is said at once, not fourteen times
    for result in check_environment(make, tasks):
        results.append(result)
        mark = {True: "[green]✓[/]", False: "[red]✗[/]", None: "[yellow]–[/]"}[result.passed]
        console.print(f"{mark} [bold]{result.name}[/]  {escape(result.detail)}  [dim]{result.seconds:.1f} s[/]")
    if as_json:
        print(json.dumps([asdict(result) for result in results], indent=2))
    if any(result.passed is False for result in results):
        raise typer.Exit(1)
