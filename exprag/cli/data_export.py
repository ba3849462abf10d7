"""`exprag data export`: rows in the shapes that other trainers read."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from exprag.cli.data import Place, app
from exprag.cli.output import say
from exprag.cli.words import out as out_option


@app.command
def export(
    dataset: Place,
    /,
    *,
    format: Annotated[str, Parameter(help="trl, trl-tools (with tool calls), llama-factory or axolotl.")],
    out: Annotated[Path, out_option("The *.jsonl file to write.")],
) -> None:
    """Write a dataset as TRL, LLaMA-Factory or Axolotl read it, and say what their settings must add."""
    from exprag.training.rows.export import export_rows

    exported = export_rows(dataset, out, format)
    say(f"{out}: {exported.rows} rows.")
    for note in exported.notes:
        say(f"  {note}")
