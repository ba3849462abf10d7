"""`exprag new`: a plugin package to start from."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

app = typer.Typer(help="Start something new from a template.", no_args_is_help=True)


@app.callback()
def new() -> None:
    """Start something new from a template."""


@app.command()
def plugin(
    name: Annotated[str, typer.Argument(help="Short name, in lower case: the package is called exprag-NAME.")],
    kind: Annotated[str, typer.Option(help="environment, query-strategy, selector, formatter or style.")],
    out: Annotated[Path | None, typer.Option("--out", "-o", help="New folder for it; default: exprag-NAME.")] = None,
) -> None:
    """Write a plugin package: entry point, a small example that works, README, and the conformance kit as its tests."""
    from exprag.scaffold import new_plugin

    made = new_plugin(name, kind, out)
    console = Console(highlight=False)
    console.print(f"[bold]{made}[/] is a working {kind} to make your own. Next:")
    console.print(f"  pip install -e {made}\n  exprag plugins\n  pytest {made}", markup=False)
