"""`exprag hints list|review|retire`: the hints of a bank, what they brought, and those that are shown no more."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter
from rich.table import Table

from exprag.cli.output import console, say, write_json
from exprag.cli.words import Json, path, plain

app = App(name="hints", help="The hints of a bank: list them, see what they brought, retire those that harm.")

Place = Annotated[Path, path("Folder of the bank.")]
Type = Annotated[str | None, Parameter(name="--type", help="Of this task type only.")]


@app.command(name="list")
def list_(bank: Place, /, *, type_: Type = None, as_json: Json = False) -> None:
    """List hints by type, those that the most episodes led to first."""
    from exprag.bank import Bank
    from exprag.bank.items import Items

    items = sorted(Items(Bank.open(bank)), key=lambda item: (item.type, -len(item.sources), item.id))
    items = [item for item in items if type_ in (None, item.type)]
    if as_json:
        write_json([item.model_dump(mode="json") for item in items])
        return
    table = _table("id", "kind", "type", "from", "text", "state")
    for item in items:
        state = f"retired: {item.retired}" if item.retired else ", ".join(item.flags)
        cells = (item.id, item.kind, item.type, str(len(item.sources)), item.text, state)
        table.add_row(*(plain(cell) for cell in cells))
    console().print(table)


@app.command
def review(
    bank: Place,
    /,
    *,
    runs: Annotated[list[Path], Parameter(name="--runs", consume_multiple=True, help="Run directories, with hints and without.")],
    type_: Type = None,
    as_json: Json = False,
) -> None:
    """How often each hint was read in won and lost episodes, paired with the same tasks without hints; those that harm first."""
    from exprag.bank import Bank
    from exprag.bank.items import Items
    from exprag.distillation.review import review as credit_hints
    from exprag.evaluation import load_run

    episodes = [episode for run in runs for episode in load_run(run).episodes]
    items = [item for item in Items(Bank.open(bank)) if type_ in (None, item.type)]
    credits = credit_hints(items, episodes)
    if as_json:
        rows = [(credit, credit.item.model_dump(mode="json")) for credit in credits]
        write_json([{**asdict(credit), "item": item, "verdict": credit.verdict} for credit, item in rows])
        return
    table = _table("id", "type", "used", "won", "lost", "paired", "gained", "spoilt", "95 %", "verdict", "text")
    for credit in credits:
        limits = f"{credit.interval.low:+.0%} to {credit.interval.high:+.0%}" if credit.interval and credit.paired else ""
        numbers = (credit.used, credit.won, credit.lost, credit.paired, credit.gained, credit.spoilt)
        item = credit.item
        verdict = "retired" if item.retired else credit.verdict
        table.add_row(*(plain(str(cell)) for cell in (item.id, item.type, *numbers, limits, verdict, item.text)))
    console().print(table)


@app.command
def retire(
    bank: Place,
    id: Annotated[str, Parameter(help="Id of the hint.")],
    /,
    *,
    reason: Annotated[str, Parameter(help="Why; it is kept with the hint.")],
) -> None:
    """Show a hint to no agent any more. It stays in the bank, with the reason."""
    from exprag.bank import Bank
    from exprag.bank.items import Items

    item = Items(Bank.open(bank)).retire(id, reason)
    say(f"retired: {item.text} ({item.retired})")


def _table(*columns: str) -> Table:
    table = Table(box=None, header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")
    return table
