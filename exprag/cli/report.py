"""`exprag report`: arms side by side, with paired differences, and the page on which episodes are read."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from exprag.cli.words import plain
from exprag.errors import ConfigError


def report(
    runs: Annotated[list[Path], typer.Argument(help="Run directories, one for each arm.", show_default=False)],
    baseline: Annotated[str | None, typer.Option(help="Arm to compare the others with; default: the one without a bank.")] = None,
    html: Annotated[Path | None, typer.Option(help="Also write the page, with every episode to read, to this file.")] = None,
    bank: Annotated[
        list[str] | None,
        typer.Option(help="Where recalled trajectories are read from, instead of the banks that the runs name; repeatable."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")] = False,
    markdown: Annotated[bool, typer.Option("--markdown", help="Print Markdown instead of tables.")] = False,
) -> None:
    """Compare runs: success, score, steps and tokens by task type, and paired differences with 95 % intervals."""
    if as_json and markdown:
        raise ConfigError("--json and --markdown were both given.", cure="Choose one of them.")
    from exprag.evaluation import compare, load_run, write_page
    from exprag.evaluation.recalled import read_recalled

    loaded = [load_run(run) for run in runs]
    result = compare(loaded, baseline)
    # With --json or --markdown, stdout holds that and nothing else.
    talk = Console(stderr=as_json or markdown)
    if as_json or markdown:
        sys.stdout.write(result.to_json() + "\n" if as_json else result.to_markdown())
    else:
        talk.print(result.to_console())
    if html is not None:
        recalled, problems = read_recalled(loaded, tuple(bank or ()))
        for problem in problems:
            talk.print(plain(f"Recalled trajectories are shown without their text: {problem}", "yellow"), soft_wrap=True)
        page = write_page(html, loaded, recalled, baseline=baseline)
        talk.print(plain(f"Read every episode step by step: {page}"), soft_wrap=True)
