"""`exprag validate`: the conformance kits, as a command."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import App, Parameter
from cyclopts.validators import Number
from rich.text import Text

from exprag.cli.output import console, write_json
from exprag.cli.words import Json, Set, name_values, path, plain
from exprag.plugins import create

if TYPE_CHECKING:
    from exprag.testing import Result
    from exprag.trajectory import Trajectory

app = App(name="validate", help="Check a plugin against the contract that the rest of exprag relies on.")

Name = Annotated[str, Parameter(help="Plugin, or an import path module:Class.")]
BankOption = Annotated[Path | None, path("Examine it with episodes of this bank; default: made-up ones.", "--bank")]
Limit = Annotated[int, Parameter(help="Episodes of the bank, at most.", validator=Number(gte=2))]


@app.command
def env(
    name: Name,
    /,
    *,
    tasks: Annotated[int, Parameter(help="Tasks of each split to play.")] = 2,
    split: Annotated[
        str | None, Parameter(help="Instead: let the expert play every task of this split; each must be won.")
    ] = None,
    set_: Set = None,
    as_json: Json = False,
) -> int:
    """Check an environment; exit code 1 if a check fails."""
    from exprag.testing import check_environment, check_split

    make = _maker("environment", name, set_)
    return _show(check_environment(make, tasks) if split is None else check_split(make, split), as_json)


@app.command
def strategy(name: Name, /, *, bank: BankOption = None, limit: Limit = 200, set_: Set = None, as_json: Json = False) -> int:
    """Check a query strategy; exit code 1 if a check fails."""
    from exprag.testing import check_strategy

    return _show(check_strategy(_maker("query_strategy", name, set_), _episodes(bank, limit)), as_json)


@app.command
def selector(name: Name, /, *, bank: BankOption = None, limit: Limit = 200, set_: Set = None, as_json: Json = False) -> int:
    """Check a selector; exit code 1 if a check fails."""
    from exprag.testing import check_selector

    return _show(check_selector(_maker("selector", name, set_), _episodes(bank, limit)), as_json)


@app.command
def formatter(name: Name, /, *, bank: BankOption = None, limit: Limit = 200, set_: Set = None, as_json: Json = False) -> int:
    """Check a formatter; exit code 1 if a check fails."""
    from exprag.testing import check_formatter

    return _show(check_formatter(_maker("formatter", name, set_), _episodes(bank, limit)), as_json)


@app.command
def style(name: Name, /, *, set_: Set = None, as_json: Json = False) -> int:
    """Check an agent style; exit code 1 if a check fails."""
    from exprag.testing import check_style

    return _show(check_style(_maker("style", name, set_)), as_json)


@app.command
def distiller(name: Name, /, *, bank: BankOption = None, limit: Limit = 200, set_: Set = None, as_json: Json = False) -> int:
    """Check a distiller; exit code 1 if a check fails."""
    from exprag.testing import check_distiller

    return _show(check_distiller(_maker("distiller", name, set_), _episodes(bank, limit)), as_json)


@app.command
def trace_format(name: Name, /, *, set_: Set = None, as_json: Json = False) -> int:
    """Check a trace format; exit code 1 if a check fails."""
    from exprag.testing import check_trace_format

    return _show(check_trace_format(_maker("trace_format", name, set_)), as_json)


@app.command
def model(
    spec: Annotated[str, Parameter(help="Model spec: case-based, hf:<folder or id>, openai:<model> …")],
    /,
    *,
    as_json: Json = False,
) -> int:
    """Check a chat model, by some thirty calls; exit code 1 if a check fails."""
    from exprag.models import load_model
    from exprag.testing import check_model

    chat = load_model(spec)  # one model, made once: what is missing is said at once
    return _show(check_model(lambda: chat), as_json)


def _maker(kind: str, name: str, options: list[str] | None) -> Callable[[], Any]:
    make = partial(create, kind, name, **name_values(options))
    make()  # an unknown name or a missing extra is said at once, not by every check
    return make


def _episodes(bank: Path | None, limit: int) -> list[Trajectory]:
    if bank is None:
        return []
    from itertools import islice

    from exprag.bank import Bank
    from exprag.errors import ConfigError

    episodes = list(islice(Bank.open(bank).trajectories(), limit))
    if len(episodes) < 2:
        raise ConfigError(f"The bank {bank} holds {len(episodes)} episodes.", cure="Give one with two or more, or none.")
    return episodes


def _show(results: Iterable[Result], as_json: bool) -> int:
    """Show each result as it comes; returns the exit code."""
    rows = []
    for result in results:
        rows.append(result)
        mark = {True: ("✓", "green"), False: ("✗", "red"), None: ("–", "yellow")}[result.passed]
        parts = (mark, " ", plain(result.name, "bold"), "  ", plain(result.detail), (f"  {result.seconds:.1f} s", "dim"))
        console(stderr=as_json).print(Text.assemble(*parts))
        if result.traceback and os.environ.get("EXPRAG_TRACEBACK", "") not in ("", "0"):
            console(stderr=True).print(plain(result.traceback))
    if as_json:
        write_json([asdict(result) for result in rows])
    return int(any(result.passed is False for result in rows))
