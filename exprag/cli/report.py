"""`exprag report`: arms side by side, with paired differences, and the page on which episodes are read."""

from __future__ import annotations

import sys
from collections import defaultdict
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from exprag.errors import BankError, ConfigError
from exprag.evaluation import RunResult, compare, load_run, write_page
from exprag.trajectory import Trajectory


def report(
    runs: Annotated[list[Path], typer.Argument(help="Run directories, one for each arm.", show_default=False)],
    baseline: Annotated[str | None, typer.Option(help="Arm to compare the others with; default: the one without a bank.")] = None,
    html: Annotated[Path | None, typer.Option(help="Also write the page, with every episode to read, to this file.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")] = False,
    markdown: Annotated[bool, typer.Option("--markdown", help="Print Markdown instead of tables.")] = False,
) -> None:
    """Compare runs: success, score, steps and tokens by task type, and paired differences with 95 % intervals."""
    if as_json and markdown:
        raise ConfigError("--json and --markdown were both given.", cure="Choose one of them.")
    loaded = [load_run(run) for run in runs]
    result = compare(loaded, baseline)
    # With --json or --markdown, stdout holds that and nothing else.
    talk = Console(stderr=as_json or markdown)
    if as_json or markdown:
        sys.stdout.write(result.to_json() + "\n" if as_json else result.to_markdown())
    else:
        talk.print(result.to_console())
    if html is not None:
        page = write_page(html, loaded, _recalled(loaded, talk), baseline=baseline)
        talk.print(Text(f"Read every episode step by step: {page}"))


def _recalled(runs: list[RunResult], talk: Console) -> dict[str, Trajectory]:
    """The trajectories that were recalled, from the banks that the runs name; a bank that is gone is told, not fatal."""
    wanted: dict[tuple[str, int | None], set[str]] = defaultdict(set)
    for run in runs:
        ids = {item.id for episode in run.episodes for step in episode.steps for item in step.recalled}
        if ids and run.config.get("bank"):
            wanted[str(run.config["bank"]), run.config.get("bank_version")] |= ids
    found: dict[str, Trajectory] = {}
    if wanted:
        from exprag.bank import Bank
    for (uri, version), ids in wanted.items():
        try:
            found |= {trajectory.id: trajectory for trajectory in Bank.open(uri, version).get(sorted(ids))}
        except BankError as error:
            talk.print(Text(f"Recalled trajectories are shown without their text: {error}", style="yellow"))
    return found
