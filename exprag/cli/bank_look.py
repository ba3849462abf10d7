"""`exprag bank show|search|map`: read trajectories, ask the bank and see why each was chosen, see the bank as a whole."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.padding import Padding
from rich.table import Table

from exprag.cli.bank import Env, Json, Place, Success, Types, Version, _filter, _outcome, app, console
from exprag.cli.words import listed, plain
from exprag.errors import ConfigError

if TYPE_CHECKING:
    from exprag.retrieval import Retriever
    from exprag.trajectory import Step, Task, Trajectory

NEAR = 10  # how many that were left out are told

Strategy = Annotated[str | None, typer.Option(help="Query strategy; default: the bank's first.")]


@app.command()
def search(
    bank: Place,
    text: Annotated[str, typer.Argument(help="What to look for; with --task, an instruction in place of the task's.")] = "",
    task: Annotated[str, typer.Option("--task", help="ENV:ID: ask as an episode of this task would at its start.")] = "",
    k: Annotated[int, typer.Option("-k", help="How many.", min=1)] = 5,
    strategy: Strategy = None,
    selector: Annotated[str, typer.Option(help="Selector plugin.")] = "top_k",
    mode: Annotated[str, typer.Option(help="auto, vector, lexical or hybrid.")] = "auto",
    index: Annotated[str, typer.Option(help="With --task: all, matched, mismatched or empty.")] = "all",
    wider: Annotated[str, typer.Option(help="With --task: exclude tasks with the same value of these fields, too.")] = "",
    env: Env = None,
    types: Types = "",
    success: Success = None,
    quarantined: Annotated[bool, typer.Option("--quarantined", help="Find quarantined ones, too.")] = False,
    why: Annotated[bool, typer.Option("--why", help=f"Also the {NEAR} nearest that were left out, and why.")] = False,
    version: Version = None,
    as_json: Json = False,
) -> None:
    """The trajectories nearest to a text, or those that an episode of a task would recall, and why."""
    from exprag.bank import Bank
    from exprag.cli.bank_why import left_out
    from exprag.integrations.recall import recall
    from exprag.retrieval import Retriever

    if not (text or task):
        raise ConfigError("There is nothing to look for.", cure="Give a text, or --task ENV:ID.")
    opened = Bank.open(bank, version)
    name = strategy or opened.strategies[0]
    where = _filter(env, types, success)
    where = replace(where, trust=("trusted", "quarantined")) if quarantined else where
    names = listed(wider)
    retriever = Retriever(opened, name, selector, k, where=where, index_state=index, exclude_by=names, search_mode=mode)
    moment = _begun(task, text) if task else None
    found = recall(retriever, moment or text)
    how = f"{_comparison(retriever)} of keys {retriever.key_strategy}"
    rows = [_row(c.trajectory, c.score) | {"reason": how, "choice": c.reason, "step": c.step} for c in found.candidates]
    missed: list[dict[str, Any]] = []
    if why:
        near = left_out(retriever, found.query, {row["id"] for row in rows}, moment.task if moment else None, NEAR)
        missed = [_row(item.trajectory, item.score) | {"reason": item.why} for item in near]
    if as_json:
        asked = {"query": found.query, "kept": rows, "left_out": missed}
        typer.echo(json.dumps(asked if why else rows, indent=2))
        return
    if moment is not None:
        console.print(plain(f"{moment.task.key} asks ({retriever.strategy_name}): {found.query[:300]}", "bold"))
    if not rows:
        console.print("Nothing found." + ("" if opened.dimension else " A lexical bank finds only keys that share a word."))
    else:
        _print(
            rows, lambda row: f"{row['choice']}; {row['reason']}" + ("" if row["step"] is None else f"; step {row['step'] + 1}")
        )
    if missed:
        console.print(plain("Near, but left out", "bold"))
        _print(missed, lambda row: str(row["reason"]))


@app.command()
def show(bank: Place, id: Annotated[str, typer.Argument()], version: Version = None, as_json: Json = False) -> None:
    """One trajectory, step by step: what was recalled, observed, thought, done and earned."""
    from exprag.bank import Bank

    trajectory = Bank.open(bank, version).get([id])[0]
    if as_json:
        typer.echo(trajectory.to_json())
        return
    task, origin = trajectory.task, trajectory.provenance
    console.print(plain(task.instruction or task.key, "bold"))
    about = [task.key, task.type, trajectory.source, origin.run, origin.model, origin.created, trajectory.fingerprint]
    console.print(plain(" · ".join(filter(None, about)), "dim"))
    before: Step | None = None
    for number, step in enumerate(trajectory.steps, 1):
        if step.recalled and (before is None or step.recalled != before.recalled):
            for item in step.recalled:
                at = f" at step {item.step + 1}" if item.step is not None else ""
                console.print(plain(f"    memory: {item.id}{at}, {item.score:.4g}, {item.reason}", "magenta"))
        console.print(plain(step.observation))
        if step.thought:
            console.print(Padding(plain(step.thought, "italic dim"), (0, 0, 0, 6)))
        console.print(plain(f"{number:3} > {step.action}", "green"), plain(_beside(step), "yellow"))
        before = step
    console.print(plain(trajectory.final_observation))
    style = {True: "bold green", False: "bold red", None: "bold yellow"}[trajectory.success]
    score = "no score" if trajectory.score is None else f"score {trajectory.score:g}"
    console.print(plain(f"{_outcome(trajectory)} · {score} · {trajectory.ended} after {len(trajectory.steps)} steps", style))
    if trajectory.error:
        console.print(plain(f"{trajectory.error.boundary}: {trajectory.error.message}", "red"))


@app.command("map")
def map_(
    bank: Place,
    out: Annotated[Path, typer.Option("-o", "--out", help="The HTML file.")] = Path("map.html"),
    strategy: Strategy = None,
    method: Annotated[str, typer.Option(help="auto, tsne or pca.")] = "auto",
    limit: Annotated[int, typer.Option(help="So many trajectories at most: an even sample.", min=1)] = 10_000,
    env: Env = None,
    types: Types = "",
    success: Success = None,
    version: Version = None,
) -> None:
    """A map of the bank as one HTML file: what is alike lies close, coloured by type and outcome."""
    from exprag.bank import Bank
    from exprag.evaluation.bank_map import map_bank, write_map

    opened = Bank.open(bank, version)
    found = map_bank(opened, strategy, _filter(env, types, success), method=method, limit=limit)
    page = write_map(out, opened, found)
    sample = f" (a sample of {found.of})" if found.of > len(found.rows) else ""
    console.print(f"{page}: {len(found.rows)} trajectories{sample} by {found.method} of keys {found.strategy}.", soft_wrap=True)


def _begun(name: str, instruction: str) -> Any:
    """The moment at which an episode of the task begins."""
    from exprag.contracts.query_strategy import Moment
    from exprag.plugins import create, registry

    environment, _, id = name.partition(":")
    if ":" in id and environment not in registry().names("environment"):  # an import path, module:attribute
        attribute, _, id = id.partition(":")
        environment += ":" + attribute
    if not id:
        raise ConfigError(f"{name!r} names no task.", cure="Write ENV:ID; exprag tasks --env ENV lists them.")
    played = create("environment", environment)
    try:
        observation, info = played.reset(options={"task": played.task(id)})
        task: Task = info["task"]
    finally:
        played.close()
    return Moment(task.model_copy(update={"instruction": instruction}) if instruction else task, (), observation)


def _comparison(retriever: Retriever) -> str:
    by_vector = bool(retriever.bank.dimension) if retriever.search_mode == "auto" else retriever.search_mode == "vector"
    return "rank fusion" if retriever.search_mode == "hybrid" else "dot product" if by_vector else "BM25"


def _row(trajectory: Trajectory, score: float) -> dict[str, Any]:
    return {
        "score": score,
        "id": trajectory.id,
        "type": trajectory.task.type,
        "outcome": _outcome(trajectory),
        "steps": len(trajectory.steps),
        "instruction": trajectory.task.instruction,
    }


def _print(rows: list[dict[str, Any]], reason: Any) -> None:
    table = Table("score", "type", "outcome", "instruction", "reason")
    table.add_column("id", overflow="fold", min_width=24)  # whole, to be given to `show`
    for row in rows:
        shown = (row["type"], row["outcome"], row["instruction"], reason(row), row["id"])
        table.add_row(f"{row['score']:.4g}", *map(plain, shown))
    console.print(table)


def _beside(step: Step) -> str:
    told = [
        f"reward {step.reward:+g}" if step.reward else "",
        "" if step.valid is not False else "not understood",
        step.note or "",
    ]
    return " · ".join(filter(None, told))
