"""The figure of docs/evidence.md, from who won which game (see tables.py): success by arm beside the paper's, and by type.

    python benchmarks/learning/figure.py FIGURE.png [FILE.csv ...]          [docs/evidence/*.csv]

Bars are means of the seeds with 95 % intervals that draw games with all their seeds; points are the seeds.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from results import ADAPTERS, PAPER_MODEL, TABLES
from tables import ARMS, DATA, EASY, HARD, SHORT, Outcomes, Seeds, by_arm, mean, read

from exprag.figures import save_figure
from exprag.reproduce import make_plan

if TYPE_CHECKING:
    from matplotlib.figure import Figure

HALVES = {"easy": EASY, "hard": HARD}
BESIDE = {("lora", "–"): "LoRA", ("exprag-lora", "matched"): "ExpRAG-LoRA, matched"}
"""The arms that are drawn by type of task."""


def paper() -> dict[tuple[str, str], dict[str, float]]:
    """The paper's success by arm and index state, then by half."""
    plan = make_plan("exprag", "alfworld", "SmolLM2-135M-Instruct", "full", tables=TABLES, adapters=ADAPTERS)
    figures: dict[tuple[str, str], dict[str, float]] = {}
    for row in (row for table in plan.tables for row in table.rows):
        for figure in row.figures:
            if figure.model == PAPER_MODEL:
                values = {half: value / 100 for half, value in figure.values.items() if half in HALVES}
                figures.setdefault((row.arm, row.index_state or "–"), {}).update(values)
    return figures


def bars(axes: Any, number: int, arms: Iterable[tuple[Seeds, tuple[str, ...]]], label: str, color: str) -> list[float]:
    """A bar for each arm's games of some types: the mean of its seeds with its interval, and a point for each seed. The first
    or the second, by `number`, of each pair of bars. Returns where they stand."""
    places = []
    for tick, (seeds, types) in enumerate(arms):
        places.append(place := tick + 0.4 * (number - 0.5))
        success = mean(seeds, types)
        if success.estimate is None:
            continue
        limits = success.interval
        errors: Any = [[success.estimate - limits.low], [limits.high - success.estimate]] if limits else None
        axes.bar(place, success.estimate, 0.36, yerr=errors, capsize=3, color=color, label=label)
        label = ""  # one entry in the legend
        for games in seeds.values():
            won = [won for (type_, _), won in games.items() if type_ in types]
            axes.plot(place, sum(won) / len(won), "o", color="black", markersize=3)
    return places


def draw(outcomes: Outcomes) -> Figure:
    import matplotlib.pyplot as plt

    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.2), width_ratios=(3, 2), layout="constrained")
    arms = {name: seeds for name, seeds in by_arm(outcomes).items() if name[0] in ARMS}  # others were not played with all seeds
    figures = paper()
    for number, (half, types) in enumerate(HALVES.items()):
        places = bars(left, number, [(seeds, types) for seeds in arms.values()], half, f"C{number}")
        for place, name in zip(places, arms, strict=True):
            if half in figures.get(name, {}):
                left.hlines(figures[name][half], place - 0.18, place + 0.18, color="black", linestyles="dotted")
    names = [arm if index == "–" else f"{arm}\n{index}" for arm, index in arms]
    left.set_xticks(range(len(arms)), names, rotation=30, ha="right", fontsize=8)
    left.set(ylabel="success", title=f"ALFWorld, valid_unseen (dotted: {PAPER_MODEL} in the paper)")
    for number, (name, label) in enumerate(BESIDE.items()):
        bars(right, number, [(arms[name], (type_,)) for type_ in SHORT.values() if name in arms], label, f"C{number + 2}")
    right.set_xticks(range(len(SHORT)), SHORT.values())
    right.set(title="by type; trained on the first three alone")
    for axes in (left, right):
        axes.set_ylim(0, 1.15)
        axes.legend(loc="upper left", ncols=2, fontsize=9)
    return figure


if __name__ == "__main__":
    png, *files = sys.argv[1:] or sys.exit(__doc__)
    save_figure(partial(draw, read([Path(file) for file in files] or sorted(DATA.glob("*.csv")))), png, "train")
