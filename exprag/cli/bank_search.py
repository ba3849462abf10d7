"""`exprag bank search`: ask a bank, and see why each trajectory was chosen or left out."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter
from cyclopts.validators import Number
from rich.table import Table

from exprag.cli.bank import Env, Place, Success, Types, Version, app, filter_of, outcome
from exprag.cli.output import console, say, write_json
from exprag.cli.words import Json, listed, plain
from exprag.errors import ConfigError

if TYPE_CHECKING:
    from exprag.retrieval import Retriever
    from exprag.trajectory import Task, Trajectory

NEAR = 10
"""How many that were left out are listed with --why."""

Strategy = Annotated[str | None, Parameter(help="Query strategy; default: the bank's first.")]


@app.command
def search(
    bank: Place,
    text: Annotated[str, Parameter(help="What to look for; with --task, an instruction in place of the task's.")] = "",
    /,
    *,
    task: Annotated[str, Parameter(help="ENV:ID: ask as an episode of this task would at its start.")] = "",
    k: Annotated[int, Parameter(name=("--k", "-k"), help="How many.", validator=Number(gte=1))] = 5,
    strategy: Strategy = None,
    selector: Annotated[str, Parameter(help="Selector plugin.")] = "top_k",
    search_mode: Annotated[str, Parameter(help="auto, vector, lexical or hybrid.")] = "auto",
    index_state: Annotated[str, Parameter(help="With --task: all, matched, mismatched or empty.")] = "all",
    exclude_by: Annotated[str, Parameter(help="With --task: exclude tasks with the same value of these fields, too.")] = "",
    environment: Env = None,
    types: Types = "",
    success: Success = None,
    quarantined: Annotated[bool, Parameter(help="Find quarantined ones, too.")] = False,
    why: Annotated[bool, Parameter(help=f"Also the {NEAR} nearest that were left out, and why.")] = False,
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
    where = filter_of(environment, types, success)
    where = replace(where, trust=("trusted", "quarantined")) if quarantined else where
    limits: dict[str, Any] = {"index_state": index_state, "exclude_by": listed(exclude_by), "search_mode": search_mode}
    retriever = Retriever(opened, name, selector, k, where=where, **limits)
    moment = _begun(task, text) if task else None
    retrieval = recall(retriever, moment or text)
    how = f"{_comparison(retriever)} of keys {retriever.key_strategy}"
    rows = [_row(c.trajectory, c.score) | {"reason": how, "choice": c.reason, "step": c.step} for c in retrieval.candidates]
    others: list[dict[str, Any]] = []
    if why:
        near = left_out(retriever, retrieval.query, {row["id"] for row in rows}, moment.task if moment else None, NEAR)
        others = [_row(item.trajectory, item.score) | {"reason": item.why} for item in near]
    if as_json:
        write_json({"query": retrieval.query, "kept": rows, "left_out": others} if why else rows)
        return
    if moment is not None:
        console().print(plain(f"{moment.task.key} asks ({retriever.strategy_name}): {retrieval.query[:300]}", "bold"))
    if rows:
        _print(rows, lambda row: f"{row['choice']}; {row['reason']}" + _step(row))
    else:
        say("Nothing found." + ("" if opened.dimension else " A lexical bank finds only keys that share a word."))
    if others:
        say("Near, but left out", "bold")
        _print(others, lambda row: str(row["reason"]))


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
        "outcome": outcome(trajectory),
        "steps": len(trajectory.steps),
        "instruction": trajectory.task.instruction,
    }


def _step(row: dict[str, Any]) -> str:
    return "" if row["step"] is None else f"; step {row['step'] + 1}"


def _print(rows: list[dict[str, Any]], reason: Any) -> None:
    table = Table("score", "type", "outcome", "instruction", "reason")
    table.add_column("id", overflow="fold", min_width=24)  # whole, to be given to `show`
    for row in rows:
        cells = (row["type"], row["outcome"], row["instruction"], reason(row), row["id"])
        table.add_row(f"{row['score']:.4g}", *map(plain, cells))
    console().print(table)
