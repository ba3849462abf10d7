"""`exprag bank show|map`: read a trajectory step by step, see the bank as a whole."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter
from cyclopts.validators import Number
from rich.padding import Padding

from exprag.cli.bank import Env, Place, Success, Types, Version, app, filter_of, outcome
from exprag.cli.bank_search import Strategy
from exprag.cli.output import console, say, write_result
from exprag.cli.words import Json, plain
from exprag.cli.words import out as out_option

if TYPE_CHECKING:
    from exprag.trajectory import Step


@app.command
def show(
    bank: Place,
    id: Annotated[str, Parameter(help="Id of a trajectory.")],
    /,
    *,
    version: Version = None,
    as_json: Json = False,
) -> None:
    """One trajectory, step by step: what was recalled, observed, thought, done and earned."""
    from exprag.bank import Bank

    trajectory = Bank.open(bank, version).get([id])[0]
    if as_json:
        write_result(trajectory.to_json() + "\n")
        return
    print_ = console().print
    task, origin = trajectory.task, trajectory.provenance
    print_(plain(task.instruction or task.key, "bold"))
    about = [task.key, task.type, trajectory.source, origin.run, origin.model, origin.created, trajectory.fingerprint]
    print_(plain(" · ".join(filter(None, about)), "dim"))
    before: Step | None = None
    for number, step in enumerate(trajectory.steps, 1):
        if step.recalled and (before is None or step.recalled != before.recalled):
            for item in step.recalled:
                at = f" at step {item.step + 1}" if item.step is not None else ""
                print_(plain(f"    memory: {item.id}{at}, {item.score:.4g}, {item.reason}", "magenta"))
        print_(plain(step.observation))
        if step.thought:
            print_(Padding(plain(step.thought, "italic dim"), (0, 0, 0, 6)))
        print_(plain(f"{number:3} > {step.action}", "green"), plain(_beside(step), "yellow"))
        before = step
    print_(plain(trajectory.final_observation))
    style = {True: "bold green", False: "bold red", None: "bold yellow"}[trajectory.success]
    score = "no score" if trajectory.score is None else f"score {trajectory.score:g}"
    print_(plain(f"{outcome(trajectory)} · {score} · {trajectory.ended} after {len(trajectory.steps)} steps", style))
    if trajectory.error:
        print_(plain(f"{trajectory.error.boundary}: {trajectory.error.message}", "red"))


@app.command(name="map")
def map_(
    bank: Place,
    /,
    *,
    out: Annotated[Path, out_option("The HTML file.")] = Path("map.html"),
    strategy: Strategy = None,
    method: Annotated[str, Parameter(help="auto, tsne or pca.")] = "auto",
    limit: Annotated[int, Parameter(help="Trajectories at most: an even sample.", validator=Number(gte=1))] = 10_000,
    environment: Env = None,
    types: Types = "",
    success: Success = None,
    version: Version = None,
) -> None:
    """A map of the bank as one HTML file: what is alike lies close, coloured by type and outcome."""
    from exprag.bank import Bank
    from exprag.evaluation.bank_map import map_bank, write_map

    opened = Bank.open(bank, version)
    bank_map = map_bank(opened, strategy, filter_of(environment, types, success), method=method, limit=limit)
    page = write_map(out, opened, bank_map)
    sample = f" (a sample of {bank_map.of})" if bank_map.of > len(bank_map.rows) else ""
    say(f"{page}: {len(bank_map.rows)} trajectories{sample} by {bank_map.method} of keys {bank_map.strategy}.")


def _beside(step: Step) -> str:
    parts = [
        f"reward {step.reward:+g}" if step.reward else "",
        "" if step.valid is not False else "not understood",
        step.note or "",
    ]
    return " · ".join(filter(None, parts))
