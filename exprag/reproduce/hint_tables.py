"""The table of hint distillation: the pipeline of `exprag distill`, its arms beside the paper's figures."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from exprag.errors import ConfigError, closest
from exprag.evaluation.reporting import report_on
from exprag.models.load import ModelSpec
from exprag.reproduce.filling import fill, like
from exprag.reproduce.plan import SCALES, Plan, Table, TableRow, playable, read_figure, read_file
from exprag.reproduce.result import Reproduction
from exprag.runs.matrix import Matrix

if TYPE_CHECKING:
    from exprag.distillation.config import DistillConfig
    from exprag.runs.engine import Progress

PAPER = "hints"
MAIN_MODEL = "Qwen2.5-7B"
HELD_OUT = "Compared on train tasks of other groups than those that hints came from; the paper: 134 games of valid_unseen."


def reproduce_hints(
    environment: str,
    model: str,
    scale: str,
    out: str | Path,
    *,
    distiller: str | None = None,
    train: bool = False,
    run: Mapping[str, Any] | None = None,
    sizes: Mapping[str, Any] | None = None,
    paper_model: str | None = None,
    say: Callable[[str], None] = print,
    bars: Callable[[str], AbstractContextManager[Progress]] | None = None,
) -> Reproduction:
    """Run the pipeline in `out`, or what is missing of it, and put its arms beside the paper's.

    `distiller`: what writes hints from failures; default: the expert's where the model is the case-based baseline, else the model
    itself (chat). `train`: train the students too. `run` and `sizes`: fields of the base agent's run, and `extract` and
    `held_out`, on top of the scale's. Raises ConfigError for an environment or scale that is not there.
    """
    from exprag.distillation.stages import Distillation

    plan, config = _plan(environment, model, scale, distiller, train, run or {}, sizes or {})
    for note in plan.notes:
        say(note)
    Distillation(config, out, say, bars).play()
    folder = Path(out).expanduser() / "held-out"
    arms = [row.arm for row in plan.tables[0].rows]
    places = [folder / arm for arm in arms if (folder / arm / "config.json").is_file()]
    report = report_on(places, "base")
    left_out = tuple(row.label for row in plan.tables[0].rows if not (folder / row.arm / "config.json").is_file())
    table = replace(plan.tables[0], left_out=left_out)
    report = replace(report, notes=(*plan.notes, *report.notes))
    runs = [replace(each, arm=each.name) for each in report.runs]
    return Reproduction(replace(plan, tables=(table,)), (fill(table, runs, paper_model or like(plan, MAIN_MODEL)),), report)


def _plan(
    environment: str,
    model: str,
    scale: str,
    distiller: str | None,
    train: bool,
    run: Mapping[str, Any],
    sizes: Mapping[str, Any],
) -> tuple[Plan, DistillConfig]:
    from exprag.distillation.config import DistillConfig

    about = read_file(PAPER, "success.toml")
    fallbacks = {values.get("fallback") for values in about["environments"].values()}
    environments = [name for name in about["environments"] if name not in fallbacks]
    for what, name, names in (("environment", environment, environments), ("scale", scale, list(SCALES))):
        if name not in names:
            raise ConfigError(f"The tables of {PAPER} are not played with the {what} {name!r}.", cure=closest(name, names))
    if train and not ModelSpec.parse(model).base:
        raise ConfigError(f"{model} cannot be trained here.", cure="Name a local base model (hf:FOLDER), or --no-train.")
    played, notes = playable(environment, about["environments"])
    fields = {**about["environments"][played][scale], **sizes}
    settings = {"environment": played, "model": model, **fields.pop("run"), **run}
    case_based = model.partition("?")[0] == "case-based"
    name = distiller or ("expert" if case_based else "chat")
    options = {"model": model} if name == "chat" else {}
    config = DistillConfig.make(run=settings, distiller=name, distiller_options=options, train=train, **fields)
    rows = []
    for arm, label in about["labels"].items():
        rows.append(TableRow(label, arm, None, tuple(map(read_figure, about["paper"].get(arm, ())))))
    table = Table("success", about["title"], about["source"], tuple(rows))
    if scale == "small":
        notes.append("The scale is small: intervals are wide, and `--scale full` plays as many tasks as the paper.")
    return Plan(PAPER, (table,), Matrix(()), played, model, scale, (*notes, HELD_OUT, f"Hints were written by {name}.")), config
