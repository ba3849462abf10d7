"""`exprag bank …`: make, fill, look into and ask an experience bank."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import App, Parameter
from rich.table import Table

from exprag.cli.output import console, say, write_json
from exprag.cli.words import Json, TraceEnv, TraceFormat, listed, path, paths, place, plain, texts
from exprag.errors import BankError, ConfigError
from exprag.traces import AUTO, ENVIRONMENT

if TYPE_CHECKING:
    from exprag.bank import Bank, Filter
    from exprag.trajectory import Trajectory

app = App(name="bank", help="The experience bank: make, fill, look into, ask.")
EPISODES = "episodes.jsonl"

Place = Annotated[str, Parameter(help="Folder, or a URI such as s3://bucket/bank.", converter=place, n_tokens=1)]
Files = Annotated[list[Path], paths("Files of trajectories, or run directories.")]
Version = Annotated[str | None, Parameter(help="The bank as it was at this version: a number, or a tag's name.")]
Trust = Annotated[
    bool | None,
    Parameter(name="--trust", negative="--quarantine", help="Default: run directories by outcome, files quarantined."),
]
Rewrite = Annotated[
    list[str] | None,
    texts("Rewrite actions that a regular expression fits as a whole; repeatable.", "--rewrite", metavar="PATTERN=>TEXT"),
]
Strategies = Annotated[list[str] | None, texts("Query strategy whose keys it holds; repeatable; default: task.", "--strategy")]
Env = Annotated[str | None, Parameter(name=("--environment", "--env", "-e"), help="Only this environment.")]
Types = Annotated[str, Parameter(help="Only these task types, comma-separated.")]
Success = Annotated[bool | None, Parameter(name="--success", negative="--failure", help="Only successes, or only failures.")]


@app.command
def create(
    bank: Place,
    /,
    *,
    encoder: Annotated[str, Parameter(help="lexical, hf:MODEL (an id or a folder), or a profile: qwen3, bge-m3.")] = "lexical",
    strategy: Strategies = None,
) -> None:
    """Make a new, empty bank."""
    from exprag.bank import Bank

    new = Bank.create(bank, encoder, strategy or ["task"])
    say(f"Made {new.uri}: encoder {new.encoder}, strategies {', '.join(new.strategies)}.")


@app.command
def add(bank: Place, files: Files, /, *, trust: Trust = None) -> None:
    """Add trajectories of JSONL files or run directories; the bank is made if it is missing."""
    from exprag.bank import Bank

    sources = _sources(files)  # before a bank is made for nothing
    _import(Bank.open(bank) if Bank.exists(bank) else Bank.create(bank), sources, trust)


@app.command(name="import")
def import_(
    bank: Place,
    files: Files,
    /,
    *,
    format: TraceFormat = AUTO,
    environment: TraceEnv = ENVIRONMENT,
    trust: Trust = None,
    rewrite: Rewrite = None,
) -> None:
    """Add trajectories of files, yours or others', to an existing bank. Rows that do not fit are named and left out."""
    from exprag.bank import Bank

    _import(Bank.open(bank), _sources(files), trust, format, environment, rewrite or [])


@app.command
def add_strategy(bank: Place, strategy: Annotated[str, Parameter(help="Query strategy plugin.")], /) -> None:
    """Compute the keys of one more query strategy for all trajectories."""
    from exprag.bank import Bank
    from exprag.cli.progress import embedding_bar

    opened = Bank.open(bank)
    with embedding_bar(opened, len(opened)):
        opened.add_strategy(strategy)
    say(f"{opened.uri} serves {', '.join(opened.strategies)}.")


@app.command
def info(bank: Place, /, *, version: Version = None, as_json: Json = False) -> None:
    """What is in the bank."""
    from exprag.bank import Bank

    about = Bank.open(bank, version).info().to_dict()
    if as_json:
        write_json(about)
        return
    table = Table(show_header=False, box=None)
    for name, value in about.items():
        lines = [f"{key or '(none)'}: {count}" for key, count in value.items()] if isinstance(value, dict) else [_joined(value)]
        table.add_row(plain(name.replace("_", " "), "bold"), plain("\n".join(lines)))
    console().print(table)


@app.command
def export(
    bank: Place,
    file: Annotated[Path, path("The file or folder to write.")],
    /,
    *,
    format: Annotated[
        str, Parameter(help="jsonl, parquet, dataset (a folder), or a trace format such as atif; default: by the name's ending.")
    ] = "",
    environment: Env = None,
    types: Types = "",
    success: Success = None,
    version: Version = None,
) -> None:
    """Write trajectories to a file: JSONL, Parquet, a Hugging Face dataset, or as other programs read them."""
    from exprag.bank import Bank
    from exprag.integrations.files import export_bank

    count = export_bank(Bank.open(bank, version), file, format, filter_of(environment, types, success))
    say(f"{file}: {count} trajectories.")


def _sources(files: list[Path]) -> list[tuple[Path, bool]]:
    """Files of trajectories, and whether each is a run directory's: your own work."""
    sources = [(file / EPISODES, True) if (file / EPISODES).exists() else (file, False) for file in files]
    for file, _ in sources:
        if not file.is_file() and not (file / "dataset_info.json").is_file():
            kinds = f"JSONL or Parquet files, dataset folders, or run directories with {EPISODES}"
            raise ConfigError(f"There is no file {file}.", cure=f"Name {kinds}.")
    return sources


def _import(
    bank: Bank,
    sources: list[tuple[Path, bool]],
    trust: bool | None,
    format: str = AUTO,
    environment: str = ENVIRONMENT,
    rewrite: Sequence[str] = (),
) -> None:
    from exprag.cli.progress import embedding_bar
    from exprag.integrations.files import import_file

    bad = quarantined = 0
    for file, own in sources:
        with embedding_bar(bank):
            vouched = None if own and trust is None else bool(trust)
            report = import_file(bank, file, trust=vouched, format=format, environment=environment, rewrite=rewrite)
        bad += len(report.bad)
        quarantined += report.quarantined
        say(f"{file}: {report}")
        for row in report.bad:
            say(f"  line {row.line}: {row.reason}", "red")
    say(f"{bank.uri}: {len(bank)} trajectories, version {bank.version}.")
    if quarantined:
        say("No search returns the quarantined ones. When you have looked at them: exprag bank trust")
    if bad:
        raise BankError(f"{bad} line(s) did not validate and were left out.", cure="Fix them and import again.")


def filter_of(environment: str | None, types: str, success: bool | None) -> Filter:
    from exprag.bank import Filter

    return Filter(environment=environment, types=listed(types) or None, success=success)


def outcome(trajectory: Trajectory) -> str:
    return {True: "success", False: "failure", None: "unknown"}[trajectory.success]


def _joined(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
