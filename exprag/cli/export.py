"""`exprag export`: a run in the format of another tool."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from exprag.cli.output import say
from exprag.cli.words import out as out_option
from exprag.cli.words import path, texts


def export(
    run: Annotated[Path, path("A run directory.")],
    /,
    *,
    format: Annotated[
        Literal["inspect", "hf"], Parameter(help="inspect: a log for Inspect View. hf: a folder for Hugging Face's datasets.")
    ],
    out: Annotated[Path, out_option("File (inspect: *.eval or *.json) or folder (hf) to write.")],
    bank: Annotated[
        list[str] | None,
        texts("Where recalled trajectories are read from, instead of the bank that the run names; repeatable.", "--bank"),
    ] = None,
) -> None:
    """Write a run as a log of Inspect, or as a data set of episodes with a card. Nothing is uploaded."""
    from exprag.evaluation import load_run

    loaded = load_run(run)
    if format == "hf":
        from exprag.export import write_hf_dataset

        target = write_hf_dataset(out, loaded)
    else:
        from exprag.evaluation.recalled import read_recalled
        from exprag.export import write_inspect_log

        recalled, problems = read_recalled([loaded], tuple(bank or ()))
        for problem in problems:
            say(f"Prompts are written without what was recalled: {problem}", "yellow")
        target = write_inspect_log(out, loaded, recalled)
    say(f"{len(loaded.episodes)} episodes: {target}")
