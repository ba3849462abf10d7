"""The report of a distillation: success, score, steps and tokens of each arm on the held-out tasks, and the figure.

The figure is the paper's third: success against tokens per episode, those of choosing the hints included (arXiv 2510.01375).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from exprag import html
from exprag.distillation.writing import read_calls
from exprag.errors import ConfigError
from exprag.evaluation.metrics import measure
from exprag.evaluation.pairing import pair
from exprag.evaluation.render import NONE, number, points
from exprag.evaluation.results import RunResult, load_run
from exprag.evaluation.statistics import Difference, Paired, paired_rates
from exprag.figures import save_figure
from exprag.files import write_json
from exprag.prompt.hint_block import RECORD
from exprag.trajectory import Trajectory

if TYPE_CHECKING:
    from matplotlib.figure import Figure

HEAD = ("arm", "episodes", "success", "score", "steps", "tokens an episode", "of these to choose hints", "points from base")


@dataclass(frozen=True)
class ArmOutcome:
    """One arm on the held-out tasks. Means are per episode; `difference` is the paired one in success from base."""

    arm: str
    episodes: int
    success: float
    score: float | None
    steps: float | None
    tokens: float | None
    retrieval_tokens: float
    difference: Difference | None
    errors: int = 0

    def row(self) -> list[str]:
        """Its row of the table, in words."""
        numbers = [f"{self.success:.1%}", number(self.score, 3), number(self.steps, 1), number(self.tokens, 0)]
        difference = points(self.difference) if self.difference else NONE
        return [self.arm, str(self.episodes), *numbers, number(self.retrieval_tokens, 0), difference]


def outcomes(folder: Path) -> list[ArmOutcome]:
    """The arms that were played on the held-out tasks, base first. Raises ConfigError where none was."""
    runs = [load_run(path.parent) for path in sorted(folder.glob("*/config.json"))]
    base = next((run for run in runs if run.name == "base"), None)
    if base is None:
        raise ConfigError(f"{folder} holds no base arm.", cure="Run the stage held-out first.")
    order = {"base": 0, "sft": 2, "distilled": 3}
    runs.sort(key=lambda run: (order.get(run.name, 1), _natural(run.name)))
    return [_outcome(run, base) for run in runs]


def _natural(name: str) -> tuple[str, int]:
    word, _, digits = name.rpartition("-")
    return word, int(digits) if digits.isdigit() else 0


def _outcome(run: RunResult, base: RunResult) -> ArmOutcome:
    metrics = measure(run.episodes)
    choosing = sum(map(retrieval_tokens, run.episodes)) / max(len(run.episodes), 1)
    return ArmOutcome(
        run.name,
        metrics.n,
        metrics.success or 0.0,
        metrics.score,
        metrics.steps,
        metrics.tokens + choosing if metrics.tokens is not None else None,
        choosing,
        difference_of(run.episodes, base.episodes) if run is not base else None,
        sum(metrics.errors.values()),
    )


def difference_of(arm: tuple[Trajectory, ...], base: tuple[Trajectory, ...]) -> Difference:
    """The difference in success over the same tasks, with its 95 % interval."""
    return paired_rates(Paired.of((one.success is True, other.success is True) for one, other in pair(arm, base).pairs))


def retrieval_tokens(episode: Trajectory) -> int:
    """Tokens of the model that chose the hints of an episode; 0 where none did."""
    record = episode.provenance.extra.get(RECORD)
    usage = record.get("retrieval") if isinstance(record, dict) else None
    return int(usage["prompt"]) + int(usage["completion"]) if isinstance(usage, dict) else 0  # type: ignore[arg-type]


def write_report(out: Path) -> list[str]:
    """Write OUT/report.json, report.html and tokens.png, and return the table as lines."""
    arms = outcomes(out / "held-out")
    calls = read_calls(out / "distilled.jsonl")
    data: dict[str, Any] = {"arms": [asdict(arm) for arm in arms]}
    data["writing"] = {"items": len(calls.items), "refusals": list(calls.refusals), "tokens": calls.tokens}
    write_json(out / "report.json", data)
    rows = [arm.row() for arm in arms]
    lines = aligned([HEAD, *rows])
    svg = save_figure(lambda: _figure(arms), out / "tokens.png", "distill")
    title = "Hint distillation: success against tokens per episode"
    page = html.render("exprag.training.sft", "curve.html", title=title, figure=svg, head=HEAD, rows=rows)
    html.write_page(out / "report.html", page)
    return [*lines, f"{out / 'report.json'}, {out / 'report.html'}, {out / 'tokens.png'}"]


def _figure(arms: list[ArmOutcome]) -> Figure:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 4), layout="constrained")
    axes = figure.subplots()
    for place, arm in enumerate(arms):
        if arm.tokens is not None:
            axes.plot([arm.tokens / 1000], [100 * arm.success], marker="o", ms=8, color=f"C{place}", ls="", label=arm.arm)
    axes.set_xlabel("tokens per episode, retrieval included (thousands)")
    axes.set_ylabel("success (%)")
    axes.set_ylim(-2, 102)
    axes.set_xlim(left=0)
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    if axes.get_legend_handles_labels()[0]:
        axes.legend(frameon=False)
    return figure


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """The rows of a table as lines, each column as wide as its widest cell."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
