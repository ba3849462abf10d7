"""What a training did, epoch by epoch: losses, and the success of each checkpoint on each set of tasks that it played.

The figures are those of arXiv 2603.18272 (3 and 4): success may go on rising long after validation loss has turned up.
"""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from exprag import html
from exprag.errors import RunError
from exprag.figures import save_figure
from exprag.training.sft.rollouts import Rollout, read_rollouts

if TYPE_CHECKING:
    from matplotlib.figure import Figure

METRICS = "metrics.jsonl"


@dataclass(frozen=True)
class Curve:
    """The course of a training."""

    losses: dict[str, list[tuple[float, float]]]
    """Losses by name (`training`, `validation` or `validation, NAME`), as (epoch, nats a token)."""
    rollouts: dict[str, list[Rollout]]
    """Rollouts by set, by step."""


def read_curve(out: str | Path) -> Curve:
    """What a training has logged and played so far. Raises RunError where OUT is not a training."""
    rollouts: dict[str, list[Rollout]] = defaultdict(list)
    losses = read_losses(out)
    for rollout in read_rollouts(out):
        rollouts[rollout.set].append(rollout)
    return Curve(losses, dict(rollouts))


def read_losses(out: str | Path) -> dict[str, list[tuple[float, float]]]:
    """The losses that a training has logged so far, as `Curve` has them. Raises RunError where OUT is not a training."""
    path = Path(out) / METRICS
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise RunError(f"{out} has no {METRICS}.", cure="Give the folder that `exprag train` wrote (--out).") from error
    losses: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for line in lines:
        try:
            logs = json.loads(line)
        except ValueError:  # the last line of a training that is being written or was killed
            continue
        for name, value in logs.items():
            if name == "loss" or (name.startswith("eval_") and name.endswith("loss")):
                losses[_loss_name(name)].append((logs["epoch"], value))
    return dict(losses)


def draw_curve(out: str | Path, *, png: str | Path | None = None, page: str | Path | None = None) -> tuple[Path, Path]:
    """Draw the training in OUT as a PNG and as a self-contained HTML page; default: OUT/curve.png and OUT/curve.html."""
    curve = read_curve(out)
    targets = Path(png or Path(out) / "curve.png"), Path(page or Path(out) / "curve.html")
    svg = save_figure(lambda: _figure(curve), targets[0], "train")
    html.write_page(targets[1], _page(Path(out).resolve().name, curve, svg))
    return targets


def _figure(curve: Curve) -> Figure:
    from matplotlib.figure import Figure

    panels = [name for name in ("losses", "rollouts") if getattr(curve, name)]
    if not panels:
        raise RunError("Nothing was logged or played yet, so there is no curve to draw.")
    names = [*curve.rollouts, *(name.removeprefix("validation, ") for name in curve.losses if name != "training")]
    color = {name: f"C{number}" for number, name in enumerate(dict.fromkeys(names))} | {"training": "0.6"}
    figure = Figure(figsize=(5.5 * len(panels), 4), layout="constrained")
    for axes, panel in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True):
        axes.set_xlabel("epoch")
        if panel == "losses":
            axes.set_title("Loss (nats a token)")
            for name, points in curve.losses.items():
                thin = name == "training"
                look = {"color": color[name.removeprefix("validation, ")], "marker": "" if thin else "o", "lw": 1 if thin else 2}
                axes.plot(*zip(*points, strict=True), label=name, ms=4, **look)
        else:
            axes.set_title("Success (%), with Wilson 95 % intervals")
            axes.set_ylim(-2, 102)
            for name, rollouts in curve.rollouts.items():
                epochs = [r.epoch for r in rollouts]
                axes.plot(epochs, [100 * r.success for r in rollouts], color=color[name], marker="o", ms=4, lw=2, label=name)
                low, high = [100 * r.low for r in rollouts], [100 * r.high for r in rollouts]
                axes.fill_between(epochs, low, high, color=color[name], alpha=0.15, lw=0)
        axes.grid(alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(frameon=False)
    return figure


def _page(name: str, curve: Curve, svg: str) -> str:
    """One file that needs nothing else: the figure as SVG, and its numbers. It runs no script and makes no request."""
    head = ["epoch", *(name for name in curve.losses if name != "training"), *curve.rollouts]
    cells: dict[float, dict[str, str]] = defaultdict(dict)
    for loss, points in curve.losses.items():
        for epoch, value in points:
            cells[epoch][loss] = f"{value:.4f}"
    for set_, rollouts in curve.rollouts.items():
        for r in rollouts:
            cells[r.epoch][set_] = f"{r.success:.1%} ({r.low:.1%} to {r.high:.1%}), n = {r.n}"
    evaluated = {epoch: row for epoch, row in sorted(cells.items()) if row.keys() & set(head)}
    rows = [[f"{epoch:g}", *(row.get(column, "–") for column in head[1:])] for epoch, row in evaluated.items()]
    title = f"{name}: loss and success by epoch"
    return html.render("exprag.training.sft", "curve.html", title=title, figure=svg, head=head, rows=rows)


def _loss_name(name: str) -> str:
    if name == "loss":
        return "training"
    return ", ".join(["validation", *filter(None, [name.removeprefix("eval_").removesuffix("loss").strip("_")])])
