"""`exprag train`, `exprag select` and `exprag curve`: adapters from rows, chosen by what they do."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as Bar
from rich.table import Table

from exprag.cli.words import listed, name_values
from exprag.errors import ConfigError

if TYPE_CHECKING:
    from exprag.runs import RunConfig
    from exprag.training.sft.rollouts import Progress as Episodes
    from exprag.training.sft.rollouts import Rollout
    from exprag.training.sft.trainer import Progress
    from exprag.trajectory import Trajectory

Rollouts = Annotated[
    list[Path] | None,
    typer.Option("--rollout", help="TOML file of a set of tasks (fields of a run; the arm is as trained); repeatable."),
]
By = Annotated[str | None, typer.Option(help="The set that chooses; default: the first.")]
Tokens = Annotated[int, typer.Option(help="Length of an answer in rollouts, in tokens.")]


def train(
    dataset: Annotated[Path, typer.Argument(help="Rows that `exprag data build` wrote.", show_default=False)],
    model: Annotated[str, typer.Option(help="The base: a model id or folder.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of the training; an interrupted one is continued.")],
    recipe: Annotated[str, typer.Option(help="exprag-lora, rslora-128, hint-distill, or a TOML file.")] = "exprag-lora",
    epochs: Annotated[int | None, typer.Option(help="Passes over the rows.")] = None,
    learning_rate: Annotated[float | None, typer.Option()] = None,
    batch_size: Annotated[int | None, typer.Option(help="Rows of an optimizer step, over all processes.")] = None,
    device_batch_size: Annotated[int | None, typer.Option(help="Rows of a forward pass.")] = None,
    packing: Annotated[bool | None, typer.Option(help="Several episodes in one sequence, none seeing another.")] = None,
    qlora: Annotated[bool | None, typer.Option(help="The base in 4 bits (GPU).")] = None,
    seed: Annotated[int | None, typer.Option()] = None,
    set_: Annotated[list[str] | None, typer.Option("--set", help="Any field of the recipe, NAME=VALUE; repeatable.")] = None,
    validation: Annotated[
        list[str] | None, typer.Option(help="Held-out rows (PATH or NAME=PATH, repeatable), or a share of the tasks: 0.05.")
    ] = None,
    rollout: Rollouts = None,
    by: By = None,
    max_new_tokens: Tokens = 64,
) -> None:
    """Train a LoRA adapter with TRL and PEFT. Under `accelerate launch -m exprag train …` on several devices."""
    from exprag.training import train as train_adapter
    from exprag.training.sft.lora import main_process

    chosen = {
        "num_train_epochs": epochs,
        "learning_rate": learning_rate,
        "batch_size": batch_size,
        "per_device_train_batch_size": device_batch_size,
        "packing": packing,
        "qlora": qlora,
        "seed": seed,
        **name_values(set_),
    }
    with _bar(out.name) as progress:
        result = train_adapter(
            dataset,
            model,
            out,
            recipe,
            validation=_validation(validation),
            rollouts=_sets(rollout, dataset) or None,
            by=by,
            model_options={"max_new_tokens": max_new_tokens},
            progress=progress,
            **{name: value for name, value in chosen.items() if value is not None},
        )
    losses = ", ".join(f"{name} {value:.4f}" for name, value in result.losses.items())
    told = f"{result.adapter}: {result.epochs:g} epochs, {result.steps} steps, {losses}"
    Console(quiet=not main_process()).print(told, soft_wrap=True)


def select(
    out: Annotated[Path, typer.Argument(help="Folder that `exprag train` wrote.", show_default=False)],
    rollout: Rollouts = None,
    env: Annotated[str | None, typer.Option("--env", "-e", help="Environment; default: that of the rows.")] = None,
    split: Annotated[str, typer.Option(help="Split of the tasks.")] = "test",
    types: Annotated[list[str] | None, typer.Option(help="Types of one set of tasks, comma-separated; repeatable.")] = None,
    per_type: Annotated[int | None, typer.Option(help="At most so many tasks of each type.")] = None,
    limit: Annotated[int | None, typer.Option(help="At most so many tasks of a set.")] = None,
    arm: Annotated[list[str] | None, typer.Option(help="A field of the run, NAME=VALUE, else as trained; repeatable.")] = None,
    by: By = None,
    workers: Annotated[int, typer.Option(help="Worker processes, each with a model of its own; 0 plays in this one.")] = 0,
    max_new_tokens: Tokens = 64,
) -> None:
    """Play each epoch's checkpoint on sets of tasks and keep the most successful as OUT/best."""
    from exprag.training import rollout_config, select_checkpoint
    from exprag.training.sft.checkpoints import whole_checkpoints

    adapters = whole_checkpoints(out)
    if not adapters:
        raise ConfigError(f"{out} has no whole checkpoint.", cure="Give the folder that `exprag train` wrote (--out).")
    told = {"environment": env, "split": split, "per_type": per_type, "limit": limit, "workers": workers}
    told |= name_values(arm, "--arm")
    told = {name: value for name, value in told.items() if value is not None}
    sets = _sets(rollout, adapters[-1])
    for named in types or ([] if sets else [""]):
        of = listed(named)
        sets["+".join(of) or "tasks"] = rollout_config(adapters[-1], types=of, **told)
    with _rollouts_bar() as progress:
        selection = select_checkpoint(out, sets, by=by, model_options={"max_new_tokens": max_new_tokens}, progress=progress)
    Console().print(_table(selection.rollouts))
    Console().print(f"{selection.best}: {selection.chosen.name}, by {selection.by}", soft_wrap=True)


def curve(
    out: Annotated[Path, typer.Argument(help="Folder that `exprag train` wrote.", show_default=False)],
    png: Annotated[Path | None, typer.Option(help="The figure; default: OUT/curve.png.")] = None,
    html: Annotated[Path | None, typer.Option(help="The page; default: OUT/curve.html.")] = None,
) -> None:
    """Draw loss and success against epochs."""
    from exprag.training import draw_curve

    for path in draw_curve(out, png=png, page=html):
        Console().print(str(path), soft_wrap=True)


def _validation(told: list[str] | None) -> Any:
    """A share, rows, or rows by name."""
    if not told:
        return None
    if len(told) == 1 and "=" not in told[0]:
        try:
            return float(told[0])
        except ValueError:
            return told[0]
    named = {}
    for text in told:
        name, equals, path = text.partition("=")
        if not equals:
            raise ConfigError(f"--validation takes NAME=PATH where there are several, not {text!r}.")
        named[name] = path
    return named


def _sets(files: list[Path] | None, source: Path) -> dict[str, RunConfig]:
    """Run configurations by the names of their files; what they leave open is as the source was made."""
    from exprag.config import read_settings
    from exprag.training import rollout_config

    return {file.stem: rollout_config(source, **read_settings(file)) for file in files or ()}


@contextmanager
def _bar(name: str) -> Iterator[Progress]:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    with Bar(*columns, TextColumn("{task.fields[note]}")) as bar:
        shown = bar.add_task(name, total=None, note="", visible=False)  # an early error shows no bar

        def update(step: int, steps: int, logs: dict[str, float]) -> None:
            note = ", ".join(f"{key} {logs[key]:.3f}" for key in logs if key.endswith("loss"))
            bar.update(shown, completed=step, total=steps, note=note, visible=True)

        yield update


@contextmanager
def _rollouts_bar() -> Iterator[Episodes]:
    with Bar(TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()) as bar:
        shown: dict[str, TaskID] = {}

        def update(name: str, done: int, total: int, trajectory: Trajectory | None) -> None:
            if name not in shown:
                shown[name] = bar.add_task(name)
            bar.update(shown[name], completed=done, total=total)

        yield update


def _table(rollouts: tuple[Rollout, ...]) -> Table:
    table = Table(box=None, header_style="bold")
    for label in ("set", "epoch", "checkpoint", "n", "success", "95 %", "steps", "errors"):
        table.add_column(label, justify="left" if label in ("set", "checkpoint") else "right")
    for r in rollouts:
        rate, limits = f"{r.success:.1%}", f"{r.low:.1%} to {r.high:.1%}"
        table.add_row(r.set, f"{r.epoch:g}", r.checkpoint, str(r.n), rate, limits, f"{r.steps:.1f}", str(r.errors or ""))
    return table
