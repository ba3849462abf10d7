"""`exprag train`: an adapter from rows."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from exprag.cli.options import AllowCode, options, place
from exprag.cli.output import console, say
from exprag.cli.progress import LateBar
from exprag.cli.words import expanded, path, paths, plain, texts
from exprag.cli.words import out as out_option
from exprag.errors import ConfigError
from exprag.training.sft.recipes import Recipe

if TYPE_CHECKING:
    from exprag.runs import RunConfig
    from exprag.training.sft.trainer import Progress

    RecipeOptions = dict[str, Any] | None
else:
    RecipeOptions = options(Recipe, leave_out=("name",), show_defaults=False)

Rollouts = Annotated[
    list[Path] | None,
    paths("TOML file of a set of tasks (fields of a run; the agent is as trained); repeatable.", "--rollout"),
]
By = Annotated[str | None, Parameter(help="The set that chooses; default: the first.")]
Tokens = Annotated[int, Parameter(help="Length of an answer in rollouts, in tokens.")]


def train(
    dataset: Annotated[Path, path("Rows that `exprag data build` wrote.")],
    /,
    *,
    model: Annotated[str, Parameter(help="The base: a model id or folder.")],
    out: Annotated[Path, out_option("Folder of the training; an interrupted one is continued.")],
    recipe: Annotated[
        str, Parameter(help="exprag-lora, rslora-128, hint-distill, or a TOML file; options go on top.")
    ] = "exprag-lora",
    validation: Annotated[
        list[str] | None, texts("Held-out rows (PATH or NAME=PATH, repeatable), or a share of the tasks: 0.05.", "--validation")
    ] = None,
    rollout: Rollouts = None,
    by: By = None,
    max_new_tokens: Tokens = 64,
    allow_code: AllowCode = False,
    values: RecipeOptions = None,
) -> None:
    """Train a LoRA adapter with TRL and PEFT. Under `accelerate launch -m exprag train …` on several devices."""
    from exprag.training import train as train_adapter
    from exprag.training.sft.lora import main_process

    with _bar(out.name) as progress:
        result = train_adapter(
            dataset,
            expanded(model),
            out,
            expanded(recipe),
            validation=_validation(validation),
            rollouts=task_sets(rollout, dataset, allow_code) or None,
            by=by,
            model_options={"max_new_tokens": max_new_tokens},
            progress=progress,
            **place(Recipe, values),
        )
    losses = ", ".join(f"{name} {value:.4f}" for name, value in result.losses.items())
    if main_process():
        say(f"{result.adapter}: {result.epochs:g} epochs, {result.steps} steps, {losses}")


def task_sets(files: list[Path] | None, source: Path, allow_code: bool = False) -> dict[str, RunConfig]:
    """Run configurations by the names of their files; what they leave open is as the source was made.

    Raises ConfigError where a file names code, unless `allow_code`.
    """
    from exprag.config import read_settings
    from exprag.training import rollout_config
    from exprag.trusted_code import refuse_code

    sets = {}
    for file in files or ():
        sets[file.stem] = rollout_config(source, **read_settings(file))
        if not allow_code:
            refuse_code(sets[file.stem], file)
    return sets


def _validation(texts: list[str] | None) -> Any:
    """A share, rows, or rows by name."""
    if not texts:
        return None
    if len(texts) == 1 and "=" not in texts[0]:
        try:
            return float(texts[0])
        except ValueError:
            return texts[0]
    named = {}
    for text in texts:
        name, equals, place = text.partition("=")
        if not equals:
            raise ConfigError(f"--validation takes NAME=PATH where there are several, not {text!r}.")
        named[name] = place
    return named


@contextmanager
def _bar(name: str) -> Iterator[Progress]:
    columns = (BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    description = TextColumn("{task.description}", markup=False)
    with LateBar(description, *columns, TextColumn("{task.fields[note]}", markup=False), console=console()) as bar:
        task = bar.add_task(plain(name).plain, total=None, note="")

        def update(step: int, steps: int, logs: dict[str, float]) -> None:
            note = ", ".join(f"{key} {logs[key]:.3f}" for key in logs if key.endswith("loss"))
            bar.update(task, completed=step, total=steps, note=note)

        yield update
