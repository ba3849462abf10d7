"""`exprag view`: every episode of runs and matrices in one HTML file, with the prompts as they were sent."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from exprag.cli.output import say
from exprag.cli.words import out as out_option
from exprag.cli.words import paths, texts
from exprag.errors import ConfigError

if TYPE_CHECKING:
    from exprag.evaluation.page import Live


def view(
    runs: Annotated[list[Path], paths("Run directories, one for each arm; or the folder of a matrix.")],
    /,
    *,
    out: Annotated[Path, out_option("The HTML file.")] = Path("view.html"),
    baseline: Annotated[str | None, Parameter(help="Arm to compare the others with; default: the one without a bank.")] = None,
    bank: Annotated[
        list[str] | None,
        texts("Where recalled trajectories are read from, instead of the banks that the runs name; repeatable.", "--bank"),
    ] = None,
    prompts: Annotated[bool, Parameter(help="Put the prompts into the page.", negative="--no-prompts")] = True,
    tokenizer: Annotated[
        str | None, Parameter(help="Folder or id of the tokenizer that token budgets were counted with, for local models.")
    ] = None,
    live: Annotated[
        float | None, Parameter(help="Seconds after which the page of a run still going is written again; it reloads itself.")
    ] = None,
) -> None:
    """Write the page on which every episode is read: one file, no server, no network. A run may still be going."""
    if live is not None and live < 1:
        raise ConfigError("--live takes 1 second or more.")
    from exprag.evaluation.page import Live
    from exprag.runs.lock import is_held

    token_source = _load_tokenizer(tokenizer)
    banks = tuple(bank or ())
    first = True
    while True:
        going = live is not None and any(is_held(folder) for run in runs for folder in _folders(run))
        state = None
        if going and live is not None:
            now = time.strftime("%H:%M:%S")
            state = Live(f"Still being played; as of {now}. This page loads itself again every {live:g} seconds.", live)
        count = _write(runs, out, baseline, banks, prompts, token_source, state, quiet=not first)
        if first or not going:
            say(f"{count} episodes to read: {out}" + (", as they come in" if going else ""))
        if not going or live is None:
            return
        first = False
        try:
            time.sleep(live)
        except KeyboardInterrupt:  # the page is not to load itself again for ever
            _write(runs, out, baseline, banks, prompts, token_source, None, quiet=True)
            raise


def _write(
    runs: list[Path],
    target: Path,
    baseline: str | None,
    banks: tuple[str, ...],
    prompts: bool,
    tokenizer: object,
    live: Live | None,
    *,
    quiet: bool,
) -> int:
    """Write the page; returns how many episodes it holds."""
    from exprag.evaluation import report_on, write_page
    from exprag.evaluation.recalled import read_recalled
    from exprag.garbage import without_garbage_collection

    with without_garbage_collection():
        report = report_on(runs, baseline, audited=False)
        recalled, problems = read_recalled([part for run in report.runs for part in (run.parts or (run,))], banks)
        for problem in () if quiet else problems:
            say(f"Recalled trajectories are shown without their text: {problem}", "yellow")
        write_page(target, report.runs, recalled, report=report, prompts=prompts, tokenizer=tokenizer, live=live)
    return sum(len(run.episodes) for run in report.runs)


def _folders(run: Path) -> list[Path]:
    """The run directories of an argument: itself, or the cells of a matrix."""
    return [run, *sorted(path.parent for path in run.glob("cells/*/config.json"))]


def _load_tokenizer(source: str | None) -> object:
    if source is None:
        return None
    from exprag.errors import PluginError, boundary

    cure = "pip install 'exprag[hf]', or name a folder."
    with boundary(PluginError, f"The tokenizer {source!r} could not be loaded", cure=cure):
        from transformers import AutoTokenizer

        return AutoTokenizer.from_pretrained(source)
