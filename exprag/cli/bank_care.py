"""`exprag bank trust|quarantine|delete|index|optimize`: what is done to the rows of a bank and to its indices."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter
from cyclopts.validators import Number

from exprag.cli.bank import Env, Place, Types, app
from exprag.cli.output import say, write_json
from exprag.cli.words import Json, listed
from exprag.errors import ConfigError

if TYPE_CHECKING:
    from exprag.bank import Filter

Ids = Annotated[list[str] | None, Parameter(help="Ids; or say by the options which rows are meant.")]
Run = Annotated[str | None, Parameter(help="Only rows of this run.")]
Model = Annotated[str | None, Parameter(help="Only rows of this model.")]
Source = Annotated[str | None, Parameter(help="Only rows of this source: expert, agent or human.")]
After = Annotated[str | None, Parameter(name="--created-after", help="Only rows made from this time on (ISO 8601, UTC).")]
Before = Annotated[str | None, Parameter(name="--created-before", help="Only rows made before this time.")]
OnlyQuarantined = Annotated[bool, Parameter(name="--quarantined", help="Only quarantined rows.")]


@app.command
def trust(
    bank: Place,
    ids: Ids = None,
    /,
    *,
    run: Run = None,
    model: Model = None,
    source: Source = None,
    created_after: After = None,
    created_before: Before = None,
    environment: Env = None,
    types: Types = "",
    every: Annotated[bool, Parameter(name="--all", help="All quarantined rows.")] = False,
) -> None:
    """Let searches return rows that are quarantined."""
    from exprag.bank import Bank

    which = _rows_of(ids, run, model, source, created_after, created_before, environment, types, every)
    opened = Bank.open(bank)
    say(f"{opened.uri}: {opened.trust(which)} trusted now.")


@app.command
def quarantine(
    bank: Place,
    ids: Ids = None,
    /,
    *,
    run: Run = None,
    model: Model = None,
    source: Source = None,
    created_after: After = None,
    created_before: Before = None,
    environment: Env = None,
    types: Types = "",
) -> None:
    """Keep rows out of searches."""
    from exprag.bank import Bank

    which = _rows_of(ids, run, model, source, created_after, created_before, environment, types)
    opened = Bank.open(bank)
    say(f"{opened.uri}: {opened.quarantine(which)} quarantined now.")


@app.command
def delete(
    bank: Place,
    ids: Ids = None,
    /,
    *,
    run: Run = None,
    model: Model = None,
    source: Source = None,
    created_after: After = None,
    created_before: Before = None,
    environment: Env = None,
    types: Types = "",
    quarantined: OnlyQuarantined = False,
) -> None:
    """Remove trajectories by id or by where they come from (earlier versions of the bank keep them)."""
    from exprag.bank import Bank

    opened = Bank.open(bank)
    opened.get(ids or [])  # names those that are not there
    which = _rows_of(ids, run, model, source, created_after, created_before, environment, types, quarantined)
    say(f"{opened.uri}: {opened.delete(which)} removed, {len(opened)} left.")


@app.command
def index(
    bank: Place,
    /,
    *,
    strategy: Annotated[str | None, Parameter(help="Of this query strategy only.")] = None,
    kind: Annotated[str, Parameter(help="auto, exact (none), ivf_flat, ivf_sq, ivf_rq or ivf_hnsw_sq.")] = "",
    check: Annotated[bool, Parameter(name="--check", help="Make none; measure those that are there.")] = False,
    as_json: Json = False,
) -> None:
    """Make the vector indices again, and measure how well they search."""
    from dataclasses import asdict

    from exprag.bank import Bank

    opened = Bank.open(bank)
    reports = opened.index_report(strategy) if check else opened.index(strategy, kind)
    if as_json:
        write_json([asdict(report) for report in reports])
        return
    for report in reports:
        say(str(report))


@app.command
def optimize(
    bank: Place,
    /,
    *,
    prune_days: Annotated[
        float | None, Parameter(help="Give up versions older than this many days.", validator=Number(gte=0))
    ] = None,
) -> None:
    """Merge small writes, bring the indices up to date, and give up old versions if asked to."""
    from exprag.bank import Bank

    opened = Bank.open(bank)
    report = opened.optimize(None if prune_days is None else timedelta(days=prune_days))
    say(f"{opened.uri}: {report}.")


def _rows_of(
    ids: list[str] | None,
    run: str | None,
    model: str | None,
    source: str | None,
    created_after: str | None,
    created_before: str | None,
    environment: str | None,
    types: str,
    quarantined: bool = False,
) -> Filter:
    from exprag.bank import Filter

    which = Filter(
        ids=tuple(ids) if ids else None,
        run=run,
        model=model,
        source=source,
        created_after=created_after,
        created_before=created_before,
        environment=environment,
        types=listed(types) or None,
        trust=("quarantined",) if quarantined else None,
    )
    if which == Filter():
        raise ConfigError("No rows are named.", cure="Give ids, or an option such as --run, --source or --created-before.")
    return which
