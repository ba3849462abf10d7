"""`exprag bank utilities`: what earlier runs teach about the trajectories that they recalled."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from exprag.cli.bank import app
from exprag.cli.output import say
from exprag.cli.words import out as out_option
from exprag.cli.words import paths
from exprag.errors import ConfigError


@app.command
def utilities(
    run: Annotated[list[Path], paths("Run directories, in the order in which they were played.")],
    /,
    *,
    out: Annotated[Path, out_option("JSON file; an existing one is replaced.")],
    alpha: Annotated[float, Parameter(help="Learning rate: how much the latest episode counts.")] = 0.3,
) -> None:
    """Learn from runs which trajectories helped (MemRL), for the selector success_weighted."""
    from exprag.retrieval.utilities import learn_utilities, write_utilities
    from exprag.runs import RunDirectory

    learned = learn_utilities((episode for folder in run for episode in RunDirectory(folder).episodes()), alpha)
    if not learned:
        raise ConfigError(
            f"No episode of {', '.join(map(str, run))} had a memory to learn about.",
            cure="Give runs that were played with a bank: exprag run … --bank BANK",
        )
    write_utilities(out, learned)
    recalls = sum(utility.n for utility in learned.values())
    say(f"{out}: {len(learned)} trajectories, recalled {recalls} times")
