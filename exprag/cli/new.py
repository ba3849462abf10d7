"""`exprag new`: a plugin package to start from."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from exprag.cli.output import say
from exprag.cli.words import out as out_option

app = App(name="new", help="Start something new from a template.")


@app.command
def plugin(
    name: Annotated[str, Parameter(help="Short name, in lower case: the package is called exprag-NAME.")],
    /,
    *,
    kind: Annotated[
        str, Parameter(help="environment, query-strategy, selector, formatter, style, distiller, trace-format or model.")
    ],
    out: Annotated[Path | None, out_option("New folder for it; default: exprag-NAME.")] = None,
) -> None:
    """Write a plugin package: entry point, a small example that works, README, and the conformance kit as its tests."""
    from exprag.scaffold import new_plugin

    folder = new_plugin(name, kind, out)
    say(f"{folder} is a working {kind} to make your own. Next:")
    say(f"  pip install -e {folder}\n  exprag plugins\n  pytest {folder}")
