"""`exprag select` and `exprag curve`: checkpoints chosen by what they do, and drawn against epochs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter
from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

from exprag.cli.options import AllowCode, Config, options, place
from exprag.cli.output import console, say
from exprag.cli.progress import LateBar
from exprag.cli.train import By, Rollouts, Tokens, task_sets
from exprag.cli.words import listed, path, plain
from exprag.errors import ConfigError
from exprag.runs.config import RunConfig

if TYPE_CHECKING:
    from exprag.training.sft.rollouts import Progress, Rollout
    from exprag.trajectory import Trajectory

    SelectOptions = dict[str, Any] | None
else:
    SelectOptions = options(RunConfig, leave_out=("types", "model", "policy", "expert", "name"), show_defaults=False)


def select(
    out: Annotated[Path, path("Folder that `exprag train` wrote.")],
    /,
    *,
    rollout: Rollouts = None,
    types: Annotated[list[str] | None, Parameter(help="Types of one set of tasks, comma-separated; repeatable.")] = None,
    by: By = None,
    max_new_tokens: Tokens = 64,
    config: Config = None,
    allow_code: AllowCode = False,
    values: SelectOptions = None,
) -> None:
    """Play each epoch's checkpoint on sets of tasks and keep the most successful as OUT/best; else as it was trained."""
    from exprag.config import read_settings
    from exprag.training import rollout_config, select_checkpoint
    from exprag.training.sft.checkpoints import whole_checkpoints
    from exprag.trusted_code import refuse_code

    adapters = whole_checkpoints(out)
    if not adapters:
        raise ConfigError(f"{out} has no whole checkpoint.", cure="Give the folder that `exprag train` wrote (--out).")
    above = read_settings(config) if config else {"split": "test", "workers": 0}
    typed = place(RunConfig, values)
    above |= typed
    sets = task_sets(rollout, adapters[-1], allow_code)
    for text in types or ([] if sets else [""]):
        names = listed(text)
        tasks = rollout_config(adapters[-1], **{**above, **({"types": names} if names else {})})
        if config and not allow_code:
            refuse_code(tasks, config, typed)
        sets["+".join(names) or "tasks"] = tasks
    with _bar() as progress:
        selection = select_checkpoint(out, sets, by=by, model_options={"max_new_tokens": max_new_tokens}, progress=progress)
    console().print(_table(selection.rollouts))
    say(f"{selection.best}: {selection.chosen.name}, by {selection.by}")


def curve(
    out: Annotated[Path, path("Folder that `exprag train` wrote.")],
    /,
    *,
    png: Annotated[Path | None, path("The figure; default: OUT/curve.png.", "--png")] = None,
    html: Annotated[Path | None, path("The page; default: OUT/curve.html.", "--html")] = None,
) -> None:
    """Draw loss and success against epochs."""
    from exprag.training import draw_curve

    for file in draw_curve(out, png=png, page=html):
        say(str(file))


@contextmanager
def _bar() -> Iterator[Progress]:
    description = TextColumn("{task.description}", markup=False)
    with LateBar(description, BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), console=console()) as bar:
        tasks: dict[str, TaskID] = {}

        def update(name: str, done: int, total: int, trajectory: Trajectory | None) -> None:
            if name not in tasks:
                tasks[name] = bar.add_task(plain(name).plain)
            bar.update(tasks[name], completed=done, total=total)

        yield update


def _table(rollouts: tuple[Rollout, ...]) -> Table:
    table = Table(box=None, header_style="bold")
    for label in ("set", "epoch", "checkpoint", "n", "success", "95 %", "steps", "errors"):
        table.add_column(label, justify="left" if label in ("set", "checkpoint") else "right")
    for r in rollouts:
        rate, limits = f"{r.success:.1%}", f"{r.low:.1%} to {r.high:.1%}"
        numbers = (str(r.n), rate, limits, f"{r.steps:.1f}", str(r.errors or ""))
        table.add_row(plain(r.set), f"{r.epoch:g}", r.checkpoint, *numbers)
    return table
