"""The report of `it_learns`: tables from the runs, a picture of success and losses, pages to read the episodes in."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from exprag.evaluation import Report, RunResult, compare, load_run, write_page

BASELINES = ("base", "lora")
METRICS = "metrics.jsonl"

Reports = Mapping[tuple[str, str], Report]  # by half and baseline
Losses = list[tuple[int, float]]  # optimizer step, training loss


def write_report(out: Path, names: Sequence[str], times: Mapping[str, float]) -> str:
    """Write results.json, results.md, results.png and a page for each half; returns the Markdown."""
    halves = {half: _runs(out, names, half) for half in ("easy", "hard")}
    reports = {
        (half, baseline): compare(runs, baseline)
        for half, runs in halves.items()
        for baseline in BASELINES
        if len(runs) > 1 and baseline in [run.name for run in runs]
    }
    logs = sorted((out / "adapters").glob(f"*/training/{METRICS}"))
    losses = {log.parts[-3]: _losses(log) for log in logs}
    text = _markdown(reports, losses, times)
    (out / "results.md").write_text(text, encoding="utf-8")
    results = {
        "arms": {half: {run.name: _figures(reports, half, run.name) for run in runs} for half, runs in halves.items()},
        "losses": losses,
        "seconds": dict(times),
    }
    (out / "results.json").write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
    _draw(out / "results.png", reports, losses)
    for half, runs in halves.items():
        if runs:
            write_page(out / f"{half}.html", runs, baseline=runs[0].name)
    return text


def _runs(out: Path, names: Sequence[str], half: str) -> list[RunResult]:
    folders = [out / "runs" / half / name for name in names]
    return [load_run(folder) for folder in folders if (folder / "episodes.jsonl").exists()]


def _losses(log: Path) -> Losses:
    lines = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    return [(line["step"], float(line["loss"])) for line in lines if "loss" in line]


def _figures(reports: Reports, half: str, name: str) -> dict[str, Any]:
    """Solved of n with the interval, and the paired differences with the baselines, in success rates."""
    figures: dict[str, Any] = {}
    for (where, baseline), report in reports.items():
        if where != half:
            continue
        total = next(arm.total for arm in report.arms if arm.name == name)
        interval = total.interval
        assert interval is not None
        figures |= {"n": total.n, "solved": total.solved, "success": total.success, "low": interval.low, "high": interval.high}
        figures |= {"steps": total.steps, "types": {t: [m.solved, m.n] for t, m in _types(report, name).items()}}
        for comparison in report.comparisons:
            if comparison.arm == name:
                gap = comparison.total.success
                assert gap.interval is not None
                figures[f"minus {baseline}"] = {"points": gap.estimate, "low": gap.interval.low, "high": gap.interval.high}
    return figures


def _types(report: Report, name: str) -> Mapping[str, Any]:
    return next(arm.types for arm in report.arms if arm.name == name)


def _markdown(reports: Reports, losses: Mapping[str, Losses], times: Mapping[str, float]) -> str:
    lines = []
    for half in dict.fromkeys(half for half, _ in reports):
        lines += [f"## {half} types, valid_unseen", ""]
        lines += ["| arm | solved | success [95 %] | − base | − lora |", "|---|---|---|---|---|"]
        report = next(report for (where, _), report in reports.items() if where == half)
        for arm in report.arms:
            figures = _figures(reports, half, arm.name)
            rate = f"{figures['success']:.1%} [{figures['low']:.1%}, {figures['high']:.1%}]"
            gaps = [_gap(figures, baseline) for baseline in BASELINES]
            cells = [arm.name, f"{figures['solved']} of {figures['n']}", rate, *gaps]
            lines.append(f"| {' | '.join(cells)} |")
        lines.append("")
    lines += ["## Training loss", "", "| adapter | first | last | steps |", "|---|---|---|---|"]
    for name, points in losses.items():
        lines.append(f"| {name} | {points[0][1]:.3f} | {points[-1][1]:.3f} | {points[-1][0]} |")
    lines += ["", "## Minutes", "", "| stage | minutes |", "|---|---|"]
    lines += [f"| {stage} | {seconds / 60:.1f} |" for stage, seconds in times.items()]
    return "\n".join(lines) + "\n"


def _gap(figures: Mapping[str, Any], baseline: str) -> str:
    gap = figures.get(f"minus {baseline}")
    return f"{100 * gap['points']:+.1f} [{100 * gap['low']:+.1f}, {100 * gap['high']:+.1f}]" if gap else "–"


def _draw(path: Path, reports: Reports, losses: Mapping[str, Losses]) -> None:
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, (left, right) = plt.subplots(1, 2, figsize=(12, 4.5))
    halves = list(dict.fromkeys(half for half, _ in reports))
    for i, half in enumerate(halves):
        report = next(report for (where, _), report in reports.items() if where == half)
        bars = [_figures(reports, half, arm.name) for arm in report.arms]
        heights = [100 * bar["success"] for bar in bars]
        spans = [[100 * (bar["success"] - bar["low"]) for bar in bars], [100 * (bar["high"] - bar["success"]) for bar in bars]]
        places = [place + 0.4 * i for place in range(len(bars))]
        left.bar(places, heights, 0.38, yerr=spans, capsize=3, label=f"{half} types ({bars[0]['n']} games)")
        names = [arm.name.replace(" ", "\n", 1) for arm in report.arms]
        left.set_xticks([place + 0.2 for place in range(len(bars))], names, fontsize=8)
    left.set(ylabel="games won, %", ylim=(0, 100), title="ALFWorld valid_unseen, 95 % intervals")
    left.legend()
    for name, points in losses.items():
        right.plot(*zip(*points, strict=True), label=name)
    right.set(xlabel="optimizer step", ylabel="training loss", title="LoRA on easy train games")
    right.legend()
    figure.tight_layout()
    figure.savefig(path, dpi=120)
    plt.close(figure)
