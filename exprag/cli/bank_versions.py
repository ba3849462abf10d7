"""`exprag bank tag|untag|tags|history`: the versions of a bank."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

from cyclopts import Parameter
from cyclopts.validators import Number
from rich.table import Table

from exprag.cli.bank import Place, app
from exprag.cli.output import console, say, write_json
from exprag.cli.words import Json, plain

Name = Annotated[str, Parameter(help="Letters, digits, '.', '-' and '_'.")]


@app.command
def tag(bank: Place, name: Name, /, *, version: Annotated[int | None, Parameter(help="Default: the latest.")] = None) -> None:
    """Name a version, and keep it from being pruned."""
    from exprag.bank import Bank

    opened = Bank.open(bank)
    say(f"{opened.uri}: {name} is version {opened.tag(name, version)}.")


@app.command
def untag(bank: Place, name: Name, /) -> None:
    """Take a name away; the version stays until it is pruned."""
    from exprag.bank import Bank

    opened = Bank.open(bank)
    opened.untag(name)
    say(f"{opened.uri}: {name} is gone.")


@app.command
def tags(bank: Place, /, *, as_json: Json = False) -> None:
    """The named versions."""
    from exprag.bank import Bank

    versions = Bank.open(bank).tags()
    if as_json:
        write_json(versions)
        return
    for name, version in versions.items():
        say(f"{version:6} {name}")
    if not versions:
        say("No version has a name.")


@app.command
def history(
    bank: Place,
    /,
    *,
    limit: Annotated[int, Parameter(help="How many versions, from the latest.", validator=Number(gte=1))] = 20,
    as_json: Json = False,
) -> None:
    """What changed the bank, and when."""
    from exprag.bank import Bank

    records = Bank.open(bank).history(limit)
    if as_json:
        write_json([asdict(record) for record in records])
        return
    table = Table("version", "when", "what", "rows", "tags")
    for record in records:
        tags = plain(", ".join(record.tags))
        table.add_row(str(record.version), record.created, plain(record.what), str(record.rows), tags)
    console().print(table)
