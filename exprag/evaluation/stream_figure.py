"""The learning curve of a stream as a figure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from exprag.evaluation.measures import Measure
from exprag.evaluation.statistics import Interval
from exprag.evaluation.streams import ARMS, StreamOutcome

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def draw(outcome: StreamOutcome, title: str = "") -> Figure:
    """The learning curve of both agents, with intervals; a line where the memory begins again, and where only revisits follow."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    places = [(stretch.first + stretch.last) / 2 for stretch in outcome.curve]
    for number, (arm, label) in enumerate(zip(ARMS, ("with memory", "without memory"), strict=True)):
        rates: list[Measure] = [getattr(stretch, arm) for stretch in outcome.curve]
        heights = [100 * (rate.mean or 0.0) for rate in rates]
        limits = [rate.interval or Interval(rate.mean or 0.0, rate.mean or 0.0) for rate in rates]
        below = [max(0.0, height - 100 * limit.low) for height, limit in zip(heights, limits, strict=True)]
        above = [max(0.0, 100 * limit.high - height) for height, limit in zip(heights, limits, strict=True)]
        shifted = [place + 0.15 * (2 * number - 1) for place in places]
        axes.errorbar(shifted, heights, [below, above], marker="o", capsize=3, color=f"C{number}", label=label)
    visits = outcome.visits
    tail = max((place for place, visit in enumerate(visits, 1) if not visit.again), default=0)
    borders = {place for place in range(1, len(visits)) if visits[place].chapter != visits[place - 1].chapter}
    for place in borders | ({tail} if 0 < tail < len(visits) else set()):
        axes.axvline(place + 0.5, color="0.8", lw=1, zorder=0)
    axes.set_xlabel("visits, in the order in which they came")
    axes.set_ylabel("success (%)")
    axes.set_ylim(-2, 102)
    axes.set_title(title)
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)
    return figure
