"""`exprag data build|show|stats` and `exprag audit`: training rows from traces, and the proof that they hold no answers."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from exprag.cli.words import listed, name_values, plain
from exprag.errors import ConfigError, PluginError

if TYPE_CHECKING:
    from exprag.training import DataConfig
    from exprag.trajectory import Trajectory

app = typer.Typer(help="Training rows from traces: build, look at, count.", no_args_is_help=True)
console = Console()
LEARNT, CONTEXT = "bold green", "dim"

Place = Annotated[Path, typer.Argument(metavar="DATASET", help="A folder, *.parquet or *.jsonl that `data build` made.")]
TokenizerOption = Annotated[str | None, typer.Option("--tokenizer", help="Model folder or id whose tokenizer makes the ids.")]


@app.command()
def build(
    sources: Annotated[list[str], typer.Argument(help="Run directories, banks, or JSONL files of trajectories.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="A folder (Hugging Face dataset), *.parquet or *.jsonl.")],
    bank: Annotated[str | None, typer.Option(help="Where memory is recalled from; none needed with -k 0.")] = None,
    config: Annotated[Path | None, typer.Option(help="TOML or JSON file; options given here go on top.")] = None,
    tokenizer: TokenizerOption = None,
    k: Annotated[int | None, typer.Option("--k", "-k", help="Trajectories in the prompt; default: 2.")] = None,
    strategy: Annotated[str | None, typer.Option(help="Query strategy; default: task.")] = None,
    refresh: Annotated[str | None, typer.Option(help="once (static), every_step (dynamic), every_N_steps, on_change.")] = None,
    selector: Annotated[str | None, typer.Option(help="Selector; default: top_k.")] = None,
    formatter: Annotated[str | None, typer.Option(help="Formatter; default: chat_json.")] = None,
    placement: Annotated[str | None, typer.Option(help="Where memory stands: system, task or tail.")] = None,
    style: Annotated[str | None, typer.Option(help="Agent style; default: act.")] = None,
    types: Annotated[str, typer.Option(help="Task types, comma-separated; default: all.")] = "",
    limit: Annotated[int | None, typer.Option(help="At most so many episodes.")] = None,
    failures: Annotated[str | None, typer.Option(help="memory, drop, mask or label: what becomes of failures.")] = None,
    max_tokens: Annotated[int | None, typer.Option(help="Limit of a row: memory is shortened, else the row is dropped.")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of what is drawn; default: 2025.")] = None,
    set_: Annotated[list[str] | None, typer.Option("--set", help="Any other field of the configuration, NAME=VALUE.")] = None,
) -> None:
    """Turn trajectories into training rows, with the memory that retrieval gives each episode, its own task excluded."""
    from exprag.training import DataConfig, build_rows, write_dataset

    chosen = {
        "bank": bank,
        "k": k,
        "strategy": strategy,
        "refresh": refresh,
        "selector": selector,
        "formatter": formatter,
        "placement": placement,
        "style": style,
        "types": listed(types) or None,
        "limit": limit,
        "failures": failures,
        "max_tokens": max_tokens,
        "seed": seed,
        **name_values(set_),
    }
    given = {name: value for name, value in chosen.items() if value is not None}
    data = DataConfig.read(config, **given) if config else DataConfig.make(**given)
    opened = _bank(data)
    if opened is not None:
        data = data.model_copy(update={"bank_version": opened.version})
    loaded = load_tokenizer(tokenizer) if tokenizer else None
    trajectories = [trajectory for source in sources for trajectory in read_trajectories(source)]
    with _bar(out.name) as progress:
        rows = build_rows(trajectories, opened, data, tokenizer=loaded, progress=progress)
        write_dataset(out, rows)
    console.print(f"{out}:", soft_wrap=True)
    console.print(plain(str(rows.report)), soft_wrap=True)


@app.command()
def show(
    dataset: Place,
    number: Annotated[int, typer.Option("-n", help="How many rows.", min=1)] = 1,
    skip: Annotated[int, typer.Option(help="Rows to pass over first.", min=0)] = 0,
    tokenizer: TokenizerOption = None,
) -> None:
    """Print rows, what is learnt in green: tokens with a tokenizer, else messages."""
    from exprag.training import check_tokenizer, describe_dataset, read_rows

    about = describe_dataset(dataset)
    chat = None
    if tokenizer is not None:
        from exprag.training import ChatTokens

        loaded = load_tokenizer(tokenizer)
        check_tokenizer(about, loaded)
        chat = ChatTokens(loaded)
    for row in islice(read_rows(dataset), skip, skip + number):
        turns = f"turns {row['first']} to {row['last']}"
        console.print(plain(f"{row['id']} · {turns} · memory {row['memory']}, K {row['k']}", "bold"), soft_wrap=True)
        for recalled in row["recalled"]:
            told = f"  recalled {recalled['id']} ({recalled['score']:.4g}) {recalled['reason']}"
            console.print(plain(told, "cyan"), soft_wrap=True)
        console.print(_tokens(row, chat) if chat else _messages(row), soft_wrap=True)
        console.print()


@app.command()
def stats(dataset: Place, as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """How a dataset was made, and what became of the trajectories."""
    from exprag.training import describe_dataset

    about = describe_dataset(dataset).model_dump(mode="json")
    if as_json:
        typer.echo(json.dumps(about, indent=2))
        return
    table = Table(show_header=False, box=None)
    report = about.pop("report")
    for name, value in {**about, **report}.items():
        if isinstance(value, dict):
            value = "\n".join(f"{key}: {item}" for key, item in value.items() if item not in (None, "", [], {}))
        table.add_row(plain(name.replace("_", " "), "bold"), plain("none" if value in ("", None) else str(value)))
    console.print(table)


def audit(
    path: Annotated[Path, typer.Argument(metavar="RUN|DATASET", help="A finished run, or a training set.")],
    bank: Annotated[str | None, typer.Option(help="Where its bank is now, if it has moved.")] = None,
) -> None:
    """Prove that nothing was recalled which the task must not see. Exits with 1 and names the offenders if something was."""
    from exprag.evaluation.audit import audit as check

    result = check(path, bank)
    for offence in result.offences:
        console.print(plain(str(offence), "red"), soft_wrap=True)
    if result.repeated:
        repeated = f"{result.repeated} episodes are of a task and seed that the run already has; they are counted once."
        console.print(plain(repeated, "yellow"), soft_wrap=True)
    summary = f"{path}: {result.checked} checked, {result.recalls} recalls, {len(result.offences)} that should not have been."
    console.print(plain(summary), soft_wrap=True)
    if not result.passed:
        raise typer.Exit(1)


def read_trajectories(source: str) -> Iterator[Trajectory]:
    """The trajectories of a run directory, a bank or a JSONL file. Raises ConfigError where it is none of them."""
    from exprag.files import read_jsonl
    from exprag.runs import RunDirectory

    path = Path(source)
    if path.is_file():
        return read_jsonl(path)
    if (path / "config.json").is_file():
        return iter(RunDirectory(path).episodes())
    from exprag.bank import Bank

    if not Bank.exists(source):
        raise ConfigError(f"{source} holds no trajectories.", cure="Name run directories, banks, or JSONL files.")
    return Bank.open(source).trajectories()


def load_tokenizer(name: str) -> Any:
    """The tokenizer of a model folder or id. Raises PluginError without the extra, ConfigError where there is none."""
    try:
        from transformers import AutoTokenizer
    except ImportError as error:
        what = f"Tokenizing needs a package that is not installed ({error})."
        raise PluginError(what, cure="pip install 'exprag[train]'") from error
    try:
        return AutoTokenizer.from_pretrained(name)
    except (OSError, ValueError, KeyError) as error:
        reason = str(error).strip().split("\n")[0]
        raise ConfigError(f"There is no tokenizer {name!r}: {reason}", cure="Name a model folder, or a model id.") from error


def _bank(data: DataConfig) -> Any:
    """The bank, pinned: rows of one dataset are of one version."""
    if data.bank is None:
        return None
    from exprag.bank import Bank

    version = data.bank_version if data.bank_version is not None else Bank.open(data.bank).version
    return Bank.open(data.bank, version=version)


def _messages(row: dict[str, Any]) -> Text:
    shown = Text()
    for message, trained in zip(row["messages"], row["train"], strict=True):
        shown.append_text(plain(f"{message['role']}\n", "bold"))
        shown.append_text(_learnt(message["content"], trained))
        shown.append("\n")
    return shown


def _tokens(row: dict[str, Any], chat: Any) -> Text:
    """The row as it is tokenised, runs of learnt tokens and of context decoded apart."""
    from exprag.training.rows.tokens import IGNORED

    if "input_ids" not in row:
        row = {**row, **vars(chat.encode(row["messages"], row["train"]))}
    ids, labels = row["input_ids"], row["labels"]
    shown, start = Text(), 0
    for end in range(1, len(ids) + 1):
        if end == len(ids) or (labels[end] == IGNORED) != (labels[start] == IGNORED):
            shown.append_text(_learnt(chat.tokenizer.decode(ids[start:end]), labels[start] != IGNORED))
            start = end
    return shown


def _learnt(text: str, learnt: bool) -> Text:
    """Green if it is learnt; where there are no colours, in brackets."""
    return plain(f"⟦{text}⟧" if learnt and console.color_system is None else text, LEARNT if learnt else CONTEXT)


@contextmanager
def _bar(name: str) -> Iterator[Callable[[int, int | None], None]]:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task(name, total=None, visible=False)
        yield lambda done, total: bar.update(task, completed=done, total=total, visible=True)
