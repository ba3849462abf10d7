"""`exprag collect`, `exprag run` and `exprag tasks`: episodes of experts and agents."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter
from rich.table import Table

from exprag.cli.options import AllowCode, Config, make, options
from exprag.cli.output import console, say
from exprag.cli.progress import episodes_bar
from exprag.cli.words import out, path, plain
from exprag.runs import RunConfig, RunSummary, choose_tasks
from exprag.runs import run as run_episodes
from exprag.runs.player import make_environment

TASKS = ("environment", "environment_options", "split", "types", "task_ids", "per_type", "limit", "shuffle", "seed")
MODEL = ("model", "graph", "bank", "bank_version", "learn", "learn_rule", "learn_every", "policy")
MONEY = ("budget_tokens", "budget_cost", "price_prompt", "price_completion", "price_cached")

if TYPE_CHECKING:
    RunOptions = dict[str, Any] | None
    ExpertOptions = dict[str, Any] | None
    TaskOptions = dict[str, Any] | None
else:
    from exprag.config import AgentConfig

    RunOptions = options(RunConfig)
    ExpertOptions = options(RunConfig, leave_out=(*AgentConfig.model_fields, *MODEL, *MONEY))
    TaskOptions = options(RunConfig, only=TASKS)

Out = Annotated[Path, out("Run directory; an interrupted one is continued.")]
Retry = Annotated[bool, Parameter(name="--retry-errors", help="Play episodes that ended in an error again.")]


def collect(
    *,
    out: Out,
    bank: Annotated[Path | None, path("Also add the episodes to this bank (made if missing).", "--bank")] = None,
    config: Config = None,
    allow_code: AllowCode = False,
    retry_errors: Retry = False,
    values: ExpertOptions = None,
) -> int:
    """Play the environment's expert over tasks, and keep the episodes as experience."""
    expert = {"split": "train", **(values or {})} if config is None else values
    code = play(make(RunConfig, expert, config, allow_code, policy="expert"), out, retry_errors)
    if bank is not None:
        from exprag.bank import Bank
        from exprag.runs import RunDirectory

        report = Bank.open_or_create(bank).add(RunDirectory(out).episodes())
        say(f"{bank}: {report}")
    return code


def run(
    *, out: Out, config: Config = None, allow_code: AllowCode = False, retry_errors: Retry = False, values: RunOptions = None
) -> int:
    """Play one arm (an agent, with or without a bank) over tasks."""
    return play(make(RunConfig, values, config, allow_code), out, retry_errors)


def tasks(*, config: Config = None, allow_code: AllowCode = False, values: TaskOptions = None) -> None:
    """List the tasks of a split: how many of each type, and their ids."""
    settings = make(RunConfig, values, config, allow_code)
    selection = choose_tasks(make_environment(settings), settings)
    counts: dict[str, int] = {}
    for task in selection:
        counts[task.type] = counts.get(task.type, 0) + 1
    table = Table(box=None, header_style="bold")
    table.add_column("type")
    table.add_column("tasks", justify="right")
    table.add_column("first")
    for type_, count in counts.items():
        table.add_row(plain(type_), str(count), plain(next(task.id for task in selection if task.type == type_)))
    table.add_row("all", str(len(selection)), "", style="bold")
    console().print(table)


def play(config: RunConfig, out: Path, retry_errors: bool) -> int:
    """Play or continue a run with a progress bar and say how it went; returns the exit code."""
    with episodes_bar(out.name) as progress:
        summary: RunSummary = run_episodes(config, out, retry_errors=retry_errors, progress=progress)
    say(f"{summary.path}: {summary.episodes} episodes, {summary.successes} successful")
    for boundary, count in summary.errors.items():
        what = f"{count} ended in an error of the {boundary}: see {summary.path / 'log.txt'}; "
        say(f"{what}fix it and run again with --retry-errors", "yellow")
    return 1 if summary.errors else 0
