"""`exprag bank eval`: how well a bank finds experience that helps, without a model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from cyclopts.validators import Number
from rich.table import Table

from exprag.cli.bank import Place, Strategies, Version, app
from exprag.cli.output import console, say, write_result
from exprag.cli.words import Json, listed, paths, plain, whole_numbers
from exprag.errors import ConfigError


@app.command(name="eval")
def evaluate(
    bank: Place,
    /,
    *,
    strategy: Strategies = None,
    against: Annotated[
        list[Path] | None, paths("Episodes to ask for: JSONL files or run directories; default: the bank's own.", "--against")
    ] = None,
    k: Annotated[str, Parameter(name=("--k", "-k"), help="How many are recalled; comma-separated.")] = "1,2,4",
    selector: Annotated[str, Parameter(help="Selector plugin.")] = "top_k",
    search_mode: Annotated[str, Parameter(help="auto, vector, lexical or hybrid.")] = "auto",
    exclude_by: Annotated[str, Parameter(help="Exclude tasks with the same value of these fields, too.")] = "",
    sample: Annotated[int, Parameter(help="Episodes that are asked for, at most.", validator=Number(gte=1))] = 200,
    version: Version = None,
    as_json: Json = False,
) -> None:
    """Same type, same object, same plan among the K recalled, for each query strategy; no model takes part."""
    from exprag.bank import Bank
    from exprag.evaluation.render import number
    from exprag.evaluation.retrieval import evaluate_retrieval
    from exprag.files import read_jsonl

    numbers = whole_numbers(k, "--k")
    if not numbers:
        raise ConfigError("--k names no number.")
    references = None
    if against:
        files = [file / "episodes.jsonl" if file.is_dir() else file for file in against]
        for file in files:
            if not file.is_file():
                raise ConfigError(f"There is no file {file}.", cure="Name a JSONL file of episodes, or a run directory.")
        references = [episode for file in files for episode in read_jsonl(file, torn_tail_ok=True)]
    quality = evaluate_retrieval(
        Bank.open(bank, version),
        strategy or (),
        references=references,
        ks=numbers,
        selector=selector,
        search_mode=search_mode,
        exclude_by=listed(exclude_by),
        sample=sample,
    )
    if as_json:
        write_result(quality.to_json() + "\n")
        return
    table = Table(box=None, header_style="bold")
    for label in ("strategy", "K", "asked", "measure", "n", "share", "95 %", "by chance"):
        table.add_column(label, justify="left" if label in ("strategy", "asked", "measure") else "right")
    for row in quality.rows:
        limits = row.value.interval
        span = f"{number(limits.low, 2)}-{number(limits.high, 2)}" if limits else "–"
        cells = (str(row.k), row.when, row.measure.replace("_", " "), str(row.value.n), number(row.value.mean, 2), span)
        table.add_row(plain(row.strategy), *cells, number(row.chance, 2))
    console().print(table)
    say(f"{quality.references} episodes asked {quality.bank}, version {quality.version} ({quality.encoder}, {quality.selector}).")
