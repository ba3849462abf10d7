"""`exprag bank …`: make, fill, look into and ask an experience bank."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from exprag.errors import BankError, ConfigError

if TYPE_CHECKING:
    from exprag.bank import Bank, Filter
    from exprag.trajectory import Trajectory

app = typer.Typer(help="The experience bank: make, fill, look into, ask.", no_args_is_help=True)
console = Console()
EPISODES = "episodes.jsonl"
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")

Place = Annotated[str, typer.Argument(metavar="BANK", help="Folder, or a URI such as s3://bucket/bank.")]
Files = Annotated[list[Path], typer.Argument(help="JSONL files of trajectories, or run directories.")]
Version = Annotated[int | None, typer.Option(help="The bank as it was at this version.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Strategies = Annotated[list[str], typer.Option("--strategy", help="Query strategy whose keys it holds; repeatable.")]
Env = Annotated[str | None, typer.Option("--env", "-e", help="Only this environment.")]
Types = Annotated[str, typer.Option(help="Only these task types, comma-separated.")]
Success = Annotated[bool | None, typer.Option("--success/--failure", help="Only successes, or only failures.")]


@app.command()
def create(
    bank: Place,
    encoder: Annotated[str, typer.Option(help="lexical, or hf:MODEL (an id or a folder).")] = "lexical",
    strategy: Strategies = ["task"],  # noqa: B006 - typer copies it
) -> None:
    """Make a new, empty bank."""
    from exprag.bank import Bank

    made = Bank.create(bank, encoder, strategy)
    console.print(f"Made {made.uri}: encoder {made.encoder}, strategies {', '.join(made.strategies)}.", soft_wrap=True)


@app.command()
def add(bank: Place, files: Files) -> None:
    """Add trajectories of JSONL files or run directories; the bank is made if it is missing."""
    from exprag.bank import Bank

    paths = _paths(files)  # before a bank is made for nothing
    _import(Bank.open(bank) if Bank.exists(bank) else Bank.create(bank), paths)


@app.command("import")
def import_(bank: Place, files: Files) -> None:
    """Add trajectories of JSONL files to an existing bank. Bad lines are named and left out."""
    from exprag.bank import Bank

    _import(Bank.open(bank), _paths(files))


@app.command("add-strategy")
def add_strategy(bank: Place, strategy: Annotated[str, typer.Argument(help="Query strategy plugin.")]) -> None:
    """Compute the keys of one more query strategy for all trajectories."""
    from exprag.bank import Bank

    opened = Bank.open(bank)
    opened.add_strategy(strategy)
    console.print(f"{opened.uri} serves {', '.join(opened.strategies)}.", soft_wrap=True)


@app.command()
def info(bank: Place, version: Version = None, as_json: Json = False) -> None:
    """What is in the bank."""
    from exprag.bank import Bank

    about = Bank.open(bank, version).info().to_dict()
    if as_json:
        typer.echo(json.dumps(about, indent=2))
        return
    table = Table(show_header=False, box=None)
    for name, value in about.items():
        shown = [f"{key or '(none)'}: {count}" for key, count in value.items()] if isinstance(value, dict) else [_shown(value)]
        table.add_row(_text(name.replace("_", " "), "bold"), _text("\n".join(shown)))
    console.print(table)


@app.command()
def search(
    bank: Place,
    text: Annotated[str, typer.Argument(help="What to look for, as a task description or what the strategy compares.")],
    k: Annotated[int, typer.Option("-k", help="How many.", min=1)] = 5,
    strategy: Annotated[str | None, typer.Option(help="Query strategy; default: the bank's first.")] = None,
    env: Env = None,
    types: Types = "",
    success: Success = None,
    version: Version = None,
    as_json: Json = False,
) -> None:
    """The trajectories nearest to a text, and why."""
    from exprag.bank import Bank

    opened = Bank.open(bank, version)
    hits = opened.search(text, strategy=strategy, k=k, where=_filter(env, types, success))
    reason = f"{'BM25' if not opened.dimension else 'dot product'} of keys {strategy or opened.strategies[0]}"
    rows = [
        {
            "score": hit.score,
            "id": hit.trajectory.id,
            "type": hit.trajectory.task.type,
            "outcome": _outcome(hit.trajectory),
            "steps": len(hit.trajectory.steps),
            "instruction": hit.trajectory.task.instruction,
            "reason": reason,
        }
        for hit in hits
    ]
    if as_json:
        typer.echo(json.dumps(rows, indent=2))
        return
    if not rows:
        console.print("Nothing found." + ("" if opened.dimension else " A lexical bank finds only keys that share a word."))
        return
    table = Table("score", "type", "outcome", "instruction", "reason")
    table.add_column("id", overflow="fold", min_width=24)  # whole, to be given to `show`
    for row in rows:
        shown = ("type", "outcome", "instruction", "reason", "id")
        table.add_row(f"{row['score']:.4g}", *(_text(str(row[name])) for name in shown))
    console.print(table)


@app.command()
def show(bank: Place, id: Annotated[str, typer.Argument()], version: Version = None, as_json: Json = False) -> None:
    """One trajectory, step by step."""
    from exprag.bank import Bank

    trajectory = Bank.open(bank, version).get([id])[0]
    if as_json:
        typer.echo(trajectory.to_json())
        return
    origin = trajectory.provenance
    console.print(_text(trajectory.task.instruction or trajectory.task.key, "bold"))
    about = [trajectory.task.key, trajectory.task.type, _outcome(trajectory), f"score {trajectory.score}", trajectory.source]
    about += [origin.run, origin.model, origin.created, trajectory.fingerprint]
    console.print(_text(" · ".join(filter(None, about)), "dim"))
    for number, step in enumerate(trajectory.steps, 1):
        console.print(_text(step.observation))
        console.print(_text(f"{number:3} > {step.action}", "green"))
    console.print(_text(trajectory.final_observation))
    if trajectory.error:
        console.print(_text(f"{trajectory.error.boundary}: {trajectory.error.message}", "red"))


@app.command()
def export(
    bank: Place,
    file: Path,
    env: Env = None,
    types: Types = "",
    success: Success = None,
    version: Version = None,
) -> None:
    """Write trajectories to a JSONL file."""
    from exprag.bank import Bank

    count = Bank.open(bank, version).export_jsonl(file, _filter(env, types, success))
    console.print(f"{file}: {count} trajectories.", soft_wrap=True)


@app.command()
def delete(bank: Place, ids: Annotated[list[str], typer.Argument()]) -> None:
    """Remove trajectories by id (earlier versions of the bank keep them)."""
    from exprag.bank import Bank

    opened = Bank.open(bank)
    opened.get(ids)  # names those that are not there
    console.print(f"{opened.uri}: {opened.delete(ids)} removed, {len(opened)} left.", soft_wrap=True)


def _paths(files: list[Path]) -> list[Path]:
    paths = [path / EPISODES if path.is_dir() else path for path in files]
    for path in paths:
        if not path.is_file():
            raise ConfigError(f"There is no file {path}.", cure=f"Name JSONL files, or run directories with {EPISODES}.")
    return paths


def _import(bank: Bank, paths: list[Path]) -> None:
    bad = 0
    for path in paths:
        report = bank.import_jsonl(path)
        bad += len(report.bad)
        console.print(f"{path}: {report}", soft_wrap=True)
        for row in report.bad:
            console.print(_text(f"  line {row.line}: {row.reason}", "red"), soft_wrap=True)
    console.print(f"{bank.uri}: {len(bank)} trajectories, version {bank.version}.", soft_wrap=True)
    if bad:
        raise BankError(f"{bad} line(s) did not validate and were left out.", cure="Mend them and import again.")


def _filter(env: str | None, types: str, success: bool | None) -> Filter:
    from exprag.bank import Filter

    named = tuple(name.strip() for name in types.split(",") if name.strip())
    return Filter(environment=env, types=named or None, success=success)


def _outcome(trajectory: Trajectory) -> str:
    return {True: "success", False: "failure", None: "unknown"}[trajectory.success]


def _text(text: str, style: str = "") -> Text:
    """Stored text is untrusted: no markup, no terminal escapes, nothing that the terminal cannot encode."""
    from exprag.bank.where import utf8

    return Text(_CONTROL.sub("\ufffd", utf8(text)), style=style)


def _shown(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
