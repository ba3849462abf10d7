"""`exprag bank tag|untag|tags|history`: the versions of a bank."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Annotated

import typer
from rich.table import Table

from exprag.cli.bank import Json, Place, app, console

Name = Annotated[str, typer.Argument(help="Letters, digits, '.', '-' and '_'.")]


@app.command()
def tag(bank: Place, name: Name, version: Annotated[int | None, typer.Option(help="Default: the latest.")] = None) -> None:
    """Name a version, and keep it from being pruned."""
    from exprag.bank import Bank

    opened = Bank.open(bank)
    console.print(f"{opened.uri}: {name} is version {opened.tag(name, version)}.", soft_wrap=True)


@app.command()
def untag(bank: Place, name: Name) -> None:
    """Take a name away; the version stays until it is pruned."""
    from exprag.bank import Bank

    opened = Bank.open(bank)
    opened.untag(name)
    console.print(f"{opened.uri}: {name} is gone.", soft_wrap=True)


@app.command()
def tags(bank: Place, as_json: Json = False) -> None:
    """The named versions."""
    from exprag.bank import Bank

    found = Bank.open(bank).tags()
    if as_json:
        typer.echo(json.dumps(found, indent=2))
        return
    for name, version in found.items():
        console.print(f"{version:6} {name}")
    if not found:
        console.print("No version has a name.")


@app.command()
def history(
    bank: Place,
    limit: Annotated[int, typer.Option(help="How many versions, from the latest.", min=1)] = 20,
    as_json: Json = False,
) -> None:
    """What changed the bank, and when."""
    from exprag.bank import Bank

    records = Bank.open(bank).history(limit)
    if as_json:
        typer.echo(json.dumps([asdict(record) for record in records], indent=2))
        return
    table = Table("version", "when", "what", "rows", "tags")
    for record in records:
        table.add_row(str(record.version), record.created, record.what, str(record.rows), ", ".join(record.tags))
    console.print(table)
