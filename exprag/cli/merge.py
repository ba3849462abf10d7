"""`exprag merge`: the shards of a run, joined."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from exprag.cli.output import say
from exprag.cli.words import out, paths
from exprag.runs.merging import merge as join


def merge(
    shards: Annotated[list[Path], paths("Run directories of the shards, from exprag run --shard I/N.")],
    /,
    *,
    out: Annotated[Path, out("Run directory to write, which does not exist yet.")],
    partial: Annotated[bool, Parameter(name="--partial", help="Allow tasks without an episode.")] = False,
) -> None:
    """Join the shards of a run into one run directory, as if one machine had played it."""
    report = join(shards, out, partial=partial)
    say(f"{report.path}: {report.episodes} episodes of {report.tasks} tasks, from {report.shards} shards")
    for line in report.missing:
        say(f"without an episode: {line}", "yellow")
    if report.versions:
        say(f"other versions in some shards: {', '.join(report.versions)}; versions.json lists them", "yellow")
