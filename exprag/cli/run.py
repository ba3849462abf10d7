"""`exprag collect`, `exprag run` and `exprag tasks`: episodes of experts and agents."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter
from rich.table import Table

from exprag.cli.options import AllowCode, Config, make, options
from exprag.cli.output import console, say
from exprag.cli.progress import episodes_progress
from exprag.cli.run_report import error_limit, say_summary
from exprag.cli.words import out, place
from exprag.cli.words import plain as as_text
from exprag.runs import RunConfig, choose_tasks
from exprag.runs import run as run_episodes
from exprag.runs.mirror import working_folder
from exprag.runs.player import make_environment
from exprag.tracking import tracked

TASKS = ("environment", "environment_options", "split", "types", "task_ids", "per_type", "limit", "shuffle", "seed")
MODEL = ("model", "graph", "bank", "bank_version", "learn", "learn_rule", "learn_every", "policy")
MONEY = ("budget_tokens", "budget_cost", "price_prompt", "price_completion", "price_cached")

STOPPED = 3
"""Exit code of a run that stopped at its budget."""

if TYPE_CHECKING:
    RunOptions = dict[str, Any] | None
    ExpertOptions = dict[str, Any] | None
    TaskOptions = dict[str, Any] | None
else:
    from exprag.config import AgentConfig

    RunOptions = options(RunConfig)
    ExpertOptions = options(RunConfig, leave_out=(*AgentConfig.model_fields, *MODEL, *MONEY))
    TaskOptions = options(RunConfig, only=TASKS)

Out = Annotated[Path, out("Run directory, or s3://BUCKET/RUN; an interrupted one is continued.")]
Retry = Annotated[bool, Parameter(name="--retry-errors", help="Play episodes that ended in an error again.")]
Plain = Annotated[bool, Parameter(name="--plain", help="Progress as lines for a log in place of a bar, as without a terminal.")]
DryRun = Annotated[bool, Parameter(name="--dry-run", help="Show the first prompt as it would be sent, and an estimate.")]
Track = Annotated[
    list[str] | None,
    Parameter(name="--track", help="Also send figures of episodes to tensorboard, wandb, trackio or mlflow. Repeatable."),
]
FailOn = Annotated[
    str | None,
    Parameter(
        name="--fail-on",
        metavar="COUNT|SHARE%",
        help="Exit code 1 only where more episodes than this ended in errors: 3, or 5%. Default: any.",
    ),
]


def collect(
    *,
    out: Out,
    bank: Annotated[
        str | None, Parameter("--bank", help="Also add the episodes to this bank (made if missing).", converter=place, n_tokens=1)
    ] = None,
    config: Config = None,
    allow_code: AllowCode = False,
    retry_errors: Retry = False,
    plain: Plain = False,
    fail_on: FailOn = None,
    values: ExpertOptions = None,
) -> int:
    """Play the environment's expert over tasks, and keep the episodes as experience."""
    expert = {"split": "train", **(values or {})} if config is None else values
    code = play(make(RunConfig, expert, config, allow_code, policy="expert"), out, retry_errors, plain, fail_on)
    if bank is not None:
        from exprag.bank import Bank
        from exprag.runs import RunDirectory

        report = Bank.open_or_create(bank).add(RunDirectory(working_folder(out)).episodes())
        say(f"{bank}: {report}")
    return code


def run(
    *,
    out: Out,
    config: Config = None,
    allow_code: AllowCode = False,
    retry_errors: Retry = False,
    dry_run: DryRun = False,
    plain: Plain = False,
    fail_on: FailOn = None,
    track: Track = None,
    values: RunOptions = None,
) -> int:
    """Play one arm (an agent, with or without a bank) over tasks."""
    settings = make(RunConfig, values, config, allow_code)
    if dry_run:
        from exprag.cli.run_report import show_dry_run
        from exprag.runs.dry_run import dry_run as look_at

        show_dry_run(look_at(settings, out))
        return 0
    return play(settings, out, retry_errors, plain, fail_on, track or ())


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
        table.add_row(as_text(type_), str(count), as_text(next(task.id for task in selection if task.type == type_)))
    table.add_row("all", str(len(selection)), "", style="bold")
    console().print(table)


def play(
    config: RunConfig,
    out: Path,
    retry_errors: bool,
    plain: bool = False,
    fail_on: str | None = None,
    trackers: Sequence[str] = (),
) -> int:
    """Play or continue a run with a progress bar and say how it went; returns the exit code."""
    limit = error_limit(fail_on)
    folder = working_folder(out)
    with episodes_progress(folder, plain=plain) as progress, tracked(trackers, config, folder, progress) as update:
        summary = run_episodes(config, out, retry_errors=retry_errors, progress=update, announce=say)
    say_summary(summary)
    count = sum(summary.errors.values())
    if count > limit(summary.episodes):
        return 1
    return STOPPED if summary.stopped else 0
