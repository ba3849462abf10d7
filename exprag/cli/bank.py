"""`exprag bank …`: make, fill, look into and ask an experience bank."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from exprag.cli.words import listed, plain
from exprag.errors import BankError, ConfigError

if TYPE_CHECKING:
    from exprag.bank import Bank, Filter
    from exprag.trajectory import Trajectory

app = typer.Typer(help="The experience bank: make, fill, look into, ask.", no_args_is_help=True)
console = Console()
EPISODES = "episodes.jsonl"

Place = Annotated[str, typer.Argument(metavar="BANK", help="Folder, or a URI such as s3://bucket/bank.")]
Files = Annotated[list[Path], typer.Argument(help="JSONL files of trajectories, or run directories.")]
Version = Annotated[str | None, typer.Option(help="The bank as it was at this version: a number, or a tag's name.")]
Trust = Annotated[
    bool | None,
    typer.Option("--trust/--quarantine", help="Default: run directories by outcome, files quarantined."),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Strategies = Annotated[list[str], typer.Option("--strategy", help="Query strategy whose keys it holds; repeatable.")]
Env = Annotated[str | None, typer.Option("--env", "-e", help="Only this environment.")]
Types = Annotated[str, typer.Option(help="Only these task types, comma-separated.")]
Success = Annotated[bool | None, typer.Option("--success/--failure", help="Only successes, or only failures.")]


@app.command()
def create(
    bank: Place,
    encoder: Annotated[str, typer.Option(help="lexical, hf:MODEL (an id or a folder), or a profile: qwen3, bge-m3.")] = "lexical",
    strategy: Strategies = ["task"],  # noqa: B006 - typer copies it
) -> None:
    """Make a new, empty bank."""
    from exprag.bank import Bank

    made = Bank.create(bank, encoder, strategy)
    console.print(f"Made {made.uri}: encoder {made.encoder}, strategies {', '.join(made.strategies)}.", soft_wrap=True)


@app.command()
def add(bank: Place, files: Files, trust: Trust = None) -> None:
    """Add trajectories of JSONL files or run directories; the bank is made if it is missing."""
    from exprag.bank import Bank

    paths = _paths(files)  # before a bank is made for nothing
    _import(Bank.open(bank) if Bank.exists(bank) else Bank.create(bank), paths, trust)


@app.command("import")
def import_(bank: Place, files: Files, trust: Trust = None) -> None:
    """Add trajectories of JSONL files to an existing bank. Bad lines are named and left out."""
    from exprag.bank import Bank

    _import(Bank.open(bank), _paths(files), trust)


@app.command("add-strategy")
def add_strategy(bank: Place, strategy: Annotated[str, typer.Argument(help="Query strategy plugin.")]) -> None:
    """Compute the keys of one more query strategy for all trajectories."""
    from exprag.bank import Bank
    from exprag.cli.bank_care import embedding_bar

    opened = Bank.open(bank)
    with embedding_bar(opened, len(opened)):
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
        table.add_row(plain(name.replace("_", " "), "bold"), plain("\n".join(shown)))
    console.print(table)


@app.command()
def export(
    bank: Place,
    file: Path,
    format: Annotated[str, typer.Option(help="jsonl, parquet or dataset (a folder); default: by the name's ending.")] = "",
    env: Env = None,
    types: Types = "",
    success: Success = None,
    version: Version = None,
) -> None:
    """Write trajectories to a file: JSONL, Parquet, or a Hugging Face dataset."""
    from exprag.bank import Bank
    from exprag.integrations.files import export_bank

    count = export_bank(Bank.open(bank, version), file, format, _filter(env, types, success))
    console.print(f"{file}: {count} trajectories.", soft_wrap=True)


def _paths(files: list[Path]) -> list[tuple[Path, bool]]:
    """Files of trajectories, and whether each is a run directory's: one's own work."""
    paths = [(path / EPISODES, True) if (path / EPISODES).exists() else (path, False) for path in files]
    for path, _ in paths:
        if not path.is_file() and not (path / "dataset_info.json").is_file():
            known = f"JSONL or Parquet files, dataset folders, or run directories with {EPISODES}"
            raise ConfigError(f"There is no file {path}.", cure=f"Name {known}.")
    return paths


def _import(bank: Bank, paths: list[tuple[Path, bool]], trust: bool | None) -> None:
    from exprag.cli.bank_care import embedding_bar
    from exprag.integrations.files import import_file

    bad = quarantined = 0
    for path, own in paths:
        with embedding_bar(bank):
            report = import_file(bank, path, trust=None if own and trust is None else bool(trust))
        bad += len(report.bad)
        quarantined += report.quarantined
        console.print(f"{path}: {report}", soft_wrap=True)
        for row in report.bad:
            console.print(plain(f"  line {row.line}: {row.reason}", "red"), soft_wrap=True)
    console.print(f"{bank.uri}: {len(bank)} trajectories, version {bank.version}.", soft_wrap=True)
    if quarantined:
        console.print("No search returns the quarantined ones. When you have looked at them: exprag bank trust", soft_wrap=True)
    if bad:
        raise BankError(f"{bad} line(s) did not validate and were left out.", cure="Mend them and import again.")


def _filter(env: str | None, types: str, success: bool | None) -> Filter:
    from exprag.bank import Filter

    named = listed(types)
    return Filter(environment=env, types=named or None, success=success)


def _outcome(trajectory: Trajectory) -> str:
    return {True: "success", False: "failure", None: "unknown"}[trajectory.success]


def _shown(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


# the commands that look into a bank, that hold its documents and that care for it add themselves to `app`
from exprag.cli import bank_care, bank_documents, bank_look, bank_versions  # noqa: E402, F401
