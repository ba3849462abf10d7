"""The `exprag` command: one small module per group of commands; errors are shown without a traceback."""

from __future__ import annotations

import os
import sys

import typer

from exprag.cli import bank, data, demo, doctor, new, plugins, report, run, train, utilities, validate
from exprag.errors import ExpragError

app = typer.Typer(
    name="exprag",
    help="Agents that learn from experience. Set EXPRAG_TRACEBACK=1 to see tracebacks.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command()(demo.demo)
app.command()(run.collect)
app.command()(run.run)
app.command()(report.report)
app.add_typer(bank.app, name="bank")
bank.app.command()(utilities.utilities)
app.add_typer(data.app, name="data")
app.command()(data.audit)
app.command()(run.tasks)
app.add_typer(validate.app, name="validate")
app.command()(train.train)
app.command()(train.select)
app.command()(train.curve)
app.command()(plugins.plugins)
app.add_typer(new.app, name="new")
app.command()(doctor.doctor)


def main() -> None:
    """Entry point of the console script. Exit codes: 0 done, 1 an error that was shown, 130 interrupted."""
    try:
        app()
    except KeyboardInterrupt:
        print("\nInterrupted. Run the same command again to continue.", file=sys.stderr)
        sys.exit(130)
    except Exception as error:
        if os.environ.get("EXPRAG_TRACEBACK", "") not in ("", "0"):
            raise
        if isinstance(error, ExpragError):
            _show(error.boundary, error.message, error.cure)
        else:
            what = f"{type(error).__name__}: {error}"
            _show("unexpected", what, "Set EXPRAG_TRACEBACK=1 and run it again to see where; please report it.")
        sys.exit(1)


def _show(boundary: str, message: str, cure: str) -> None:
    from rich.console import Console
    from rich.text import Text

    console = Console(stderr=True)
    console.print(Text.assemble((f"{boundary}: ", "bold red"), message))
    if cure:
        console.print(Text(cure, style="cyan"))
