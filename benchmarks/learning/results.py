"""What came out: the paper's tables with our figures in them, a picture, and a page to read every episode in."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stages import Work

from exprag.evaluation import report_on, write_page
from exprag.evaluation.matrices import load_matrix
from exprag.figures import save_figure
from exprag.files import read_jsonl, write_json, write_whole
from exprag.reproduce import Reproduction, make_plan
from exprag.reproduce.filling import FilledTable, fill

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PAPER_MODEL = "Ministral-3-8B"
TABLES = ("success", "index")
ADAPTERS = {"without memory": "hf:lora", "with memory": "hf:exprag-lora"}


def write_results(work: Work, games: Path) -> Reproduction:
    """Write results.md, results.json, results.png and games.html beside the games; the tables."""
    runs = load_matrix(games).runs
    plan = make_plan("exprag", work.plan.environment, "SmolLM2-135M-Instruct", "full", tables=TABLES, adapters=ADAPTERS)
    tables = tuple(fill(table, runs, PAPER_MODEL) for table in plan.tables)
    result = Reproduction(plan, tables, report_on([games]))
    losses = read_losses(work)
    split = next((run.config.get("split") for run in runs), "")
    write_whole(games / "results.md", result.to_markdown() + "\n" + result.report.to_markdown())
    write_json(games / "results.json", {**result.to_dict(), "losses": losses, "seconds": work.times()})
    save_figure(lambda: draw(tables[0], losses, f"{work.plan.environment}, {split}"), games / "results.png", "train")
    write_page(games / "games.html", result.report.runs, report=result.report)
    write_whole(games / "outcomes.csv", outcomes(games))
    return result


def outcomes(games: Path) -> str:
    """A line for each game, a column for each arm with index state and seed: 1 where it was won, 0 where not."""
    by_task: dict[tuple[str, str], dict[str, int]] = {}
    for folder in sorted((games / "cells").iterdir()):
        arm, _, *rest = folder.name.split("--")
        for episode in read_jsonl(folder / "episodes.jsonl"):
            task = (episode.task.type, episode.task.id)
            by_task.setdefault(task, {})["--".join([arm, *rest])] = int(bool(episode.success))
    columns = sorted({column for won in by_task.values() for column in won})
    text = io.StringIO()
    lines = csv.writer(text, lineterminator="\n")
    lines.writerow(["type", "game", *columns])
    lines.writerows([*task, *(won.get(column, "") for column in columns)] for task, won in sorted(by_task.items()))
    return text.getvalue()


def read_losses(work: Work) -> dict[str, list[tuple[int, float]]]:
    """The training loss by adapter: (optimizer step, nats a token)."""
    logs = sorted((work.out / "adapters").glob("*/training/metrics.jsonl"))
    lines = {log.parts[-3]: [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()] for log in logs}
    return {name: [(line["step"], line["loss"]) for line in each if "loss" in line] for name, each in lines.items()}


def draw(table: FilledTable, losses: dict[str, list[tuple[int, float]]], played: str) -> Figure:
    """Success by arm, easy and hard, with 95 % intervals, the paper's beside it as a line; and the losses. `played`: on what."""
    import matplotlib.pyplot as plt

    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4), width_ratios=(3, 2), layout="constrained")
    rows = [row for row in table.rows if row.played]
    for number, half in enumerate(("easy", "hard")):
        for place, row in enumerate(rows):
            cell = row.cells.get(half)
            if cell is None or cell.ours.interval is None or cell.ours.mean is None:
                continue
            x, limits = place + 0.4 * (number - 0.5), cell.ours.interval
            errors: Any = [[cell.ours.mean - limits.low], [limits.high - cell.ours.mean]]
            left.bar(x, cell.ours.mean, 0.36, yerr=errors, color=f"C{number}", label=half if not place else None, capsize=3)
            if cell.paper is not None:
                left.hlines(cell.paper, x - 0.18, x + 0.18, color="black", linestyles="dotted")
    left.set_xticks(range(len(rows)), [row.label for row in rows], rotation=20, ha="right")
    left.set(ylim=(0, 1), ylabel="success", title=f"{played} (dotted: {table.model} in the paper)")
    left.legend(loc="upper left")
    for name, points in losses.items():
        right.plot(*zip(*points, strict=True), label=name)
    right.set(xlabel="optimizer step", ylabel="training loss, nats a token", yscale="log")
    if losses:
        right.legend()
    return figure


def won(games: Path) -> dict[str, dict[str, int]]:
    """Games and wins by cell."""
    counts = {}
    for folder in sorted((games / "cells").iterdir()):
        episodes = list(read_jsonl(folder / "episodes.jsonl"))
        counts[folder.name] = {"games": len(episodes), "won": sum(bool(episode.success) for episode in episodes)}
    return counts
