"""`exprag reproduce`: a paper's tables played again, ours beside the paper's."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter
from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from exprag.cli.matrix import Retry, matrix_bar
from exprag.cli.output import console, say
from exprag.cli.progress import LateBar
from exprag.cli.report import Csv, Html, Markdown, one_format, show
from exprag.cli.words import Json, listed, name_values, whole_numbers
from exprag.cli.words import Set as Options
from exprag.cli.words import out as out_option

Train = Annotated[
    bool | None,
    Parameter(
        name="--train",
        negative="--no-train",
        help="Train the adapters of the tables, which takes hours; default: where the model is a local base (hf:).",
    ),
]

app = App(name="reproduce", help="Play a paper's tables again, and print ours beside the paper's.")


@app.command
def exprag(
    *,
    out: Annotated[Path, out_option("Folder of runs and bank; an interrupted one is continued.")],
    environment: Annotated[str, Parameter(name=("--environment", "--env", "-e"), help="alfworld or scienceworld.")] = "alfworld",
    model: Annotated[str, Parameter(help="Chat model spec; case-based needs no download and takes minutes.")] = "case-based",
    scale: Annotated[str, Parameter(help="small or full, as in the paper.")] = "small",
    tables: Annotated[str, Parameter(help="Of success, index, k, refresh, formats, epochs, comma-separated; default: all.")] = "",
    encoder: Annotated[str, Parameter(help="Encoder of the bank; the paper's is qwen3.")] = "lexical",
    seeds: Annotated[str, Parameter(help="Seeds, comma-separated; default: 2025.")] = "",
    paper_model: Annotated[str | None, Parameter(help="Whose figures of the paper stand beside ours; default: the same.")] = None,
    set_: Options = None,
    train: Train = None,
    workers: Annotated[int, Parameter(help="Worker processes.")] = 2,
    retry_errors: Retry = False,
    dry_run: Annotated[bool, Parameter(name="--dry-run", help="List the runs, and play nothing.")] = False,
    html: Html = None,
    csv: Csv = None,
    as_json: Json = False,
    markdown: Markdown = False,
) -> None:
    """The tables of "Retrieval-Augmented LLM Agents: Learning to Learn from Experience" (ExpRAG, arXiv 2603.18272)."""
    one_format(as_json, markdown)
    from exprag.models.load import ModelSpec
    from exprag.reproduce import make_plan, reproduce

    run: dict[str, object] = {"workers": workers}
    if set_:
        run["environment_options"] = name_values(set_)
    numbers = whole_numbers(seeds, "--seeds")
    plan = make_plan("exprag", environment, model, scale, tables=listed(tables), encoder=encoder, seeds=numbers, run=run)
    for note in plan.notes:
        say(note, "yellow", stderr=True)
    if dry_run:
        for cell in plan.matrix.cells:
            say(cell.folder)
        return
    train = bool(ModelSpec.parse(model).base) if train is None else train
    with matrix_bar() as progress, _training_bar() as bar:
        result = reproduce(
            plan,
            out,
            paper_model=paper_model,
            train=train,
            retry_errors=retry_errors,
            progress=progress,
            training_progress=lambda kind, step, total: bar(f"training {kind}", step, total),
            epochs_progress=lambda arm, count, total: bar(f"epochs of {arm}", count, total),
        )
    show(result.report, printed=result, html=html, csv=csv, as_json=as_json, markdown=markdown)


@app.command
def hints(
    *,
    out: Annotated[Path, out_option("Folder of the distillation; an interrupted one is continued.")],
    environment: Annotated[str, Parameter(name=("--environment", "--env", "-e"), help="alfworld.")] = "alfworld",
    model: Annotated[str, Parameter(help="Chat model spec of the base agent.")] = "case-based",
    scale: Annotated[str, Parameter(help="small or full, as in the paper.")] = "small",
    distiller: Annotated[str | None, Parameter(help="What writes the hints; default: the model, or the expert's hints.")] = None,
    paper_model: Annotated[str | None, Parameter(help="Whose figures of the paper stand beside ours.")] = None,
    train: Train = None,
    workers: Annotated[int, Parameter(help="Worker processes.")] = 2,
    html: Html = None,
    csv: Csv = None,
    as_json: Json = False,
    markdown: Markdown = False,
) -> None:
    """The table of "Fine-tuning with RAG for Improving LLM Learning of New Skills" (hint distillation, arXiv 2510.01375)."""
    one_format(as_json, markdown)
    from exprag.cli.progress import episodes_bar
    from exprag.models.load import ModelSpec
    from exprag.reproduce.hint_tables import reproduce_hints

    result = reproduce_hints(
        environment,
        model,
        scale,
        out,
        distiller=distiller,
        train=bool(ModelSpec.parse(model).base) if train is None else train,
        run={"workers": workers},
        paper_model=paper_model,
        say=lambda text: say(text, stderr=True),
        bars=episodes_bar,
    )
    show(result.report, printed=result, html=html, csv=csv, as_json=as_json, markdown=markdown)


@contextmanager
def _training_bar() -> Iterator[Callable[[str, int, int], None]]:
    """A bar over the optimizer steps of each adapter, one over the episodes of its checkpoints, with the time that is left."""
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with LateBar(*columns, TimeRemainingColumn(), console=console(stderr=True)) as bar:
        tasks: dict[str, TaskID] = {}

        def update(part: str, count: int, total: int) -> None:
            if part not in tasks:
                tasks[part] = bar.add_task(part)
            bar.update(tasks[part], completed=count, total=total)

        yield update
