"""The page: runs as one HTML file that needs nothing else, to compare arms and read episodes step by step.

Style, script and data are inside; a content security policy forbids every request, and lets only the page's own script
run. All text of episodes is data to the script, which writes it as text and never as markup.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from exprag import html
from exprag.evaluation.metrics import in_loop
from exprag.evaluation.recalled import recalled_ids
from exprag.evaluation.redaction import redacted
from exprag.evaluation.render import sentences
from exprag.evaluation.report import compare
from exprag.evaluation.results import RunResult, distinct
from exprag.html import embed
from exprag.trajectory import Trajectory

PACKAGE = "exprag.evaluation"
SCRIPTS = tuple(f"assets/page/{part}.js" for part in ("base", "results", "setup", "list", "step", "reader", "start"))


def write_page(
    path: str | Path,
    runs: Sequence[RunResult],
    recalled: Mapping[str, Trajectory] | None = None,
    *,
    baseline: str | None = None,
) -> Path:
    """Write the page; returns its path. The file appears as a whole or not at all.

    `recalled`: trajectories by id; those that some step recalled are put in the page, once each, and can be read there.
    Without them, recalled trajectories are named by id, score and reason alone. Raises RunError where it cannot be written.
    """
    return html.write_page(path, render_page(runs, recalled or {}, baseline))


def render_page(runs: Sequence[RunResult], recalled: Mapping[str, Trajectory], baseline: str | None = None) -> str:
    """The page as text."""
    named = distinct(runs)
    return html.render(
        PACKAGE,
        "assets/page.html",
        title="exprag report: " + ", ".join(run.name for run in named),
        style=html.inline(PACKAGE, "assets/page.css"),
        script=html.inline(PACKAGE, *SCRIPTS),
        data=embed(page_data(named, recalled, baseline)),
    )


def page_data(runs: Sequence[RunResult], recalled: Mapping[str, Trajectory], baseline: str | None = None) -> dict[str, Any]:
    """What the script reads: the report, its sentences, the episodes of each arm, which of them went round in a loop (their
    places in the list), and the recalled trajectories once each."""
    report = compare(runs, baseline)
    ids = {id for run in runs for id in recalled_ids(run)}
    return {
        "report": report.to_dict(),
        "sentences": [sentences(comparison) for comparison in report.comparisons],
        "episodes": [_record(episode) | {"arm": arm} for arm, run in enumerate(runs) for episode in run.episodes],
        "loops": [index for index, episode in enumerate(e for run in runs for e in run.episodes) if in_loop(episode)],
        "recalled": {id: _record(recalled[id]) for id in sorted(ids & recalled.keys())},
    }


def _record(trajectory: Trajectory) -> dict[str, Any]:
    """The trajectory without what is at its default, and without credentials where a server may have repeated them. A list of
    recalled trajectories that stays the same is written once."""
    record = trajectory.model_dump(mode="python", exclude_defaults=True)
    record |= {name: redacted(record[name]) for name in ("provenance", "error") if name in record}
    for written in record.get("steps", ()):
        if written.get("note"):
            written["note"] = redacted(written["note"])
    for before, step, written in zip(trajectory.steps, trajectory.steps[1:], record.get("steps", ())[1:], strict=False):
        if step.recalled and step.recalled == before.recalled:
            del written["recalled"]
            written["same_recall"] = True
    return record

