"""The page: runs as one HTML file that needs nothing else, to compare arms and read episodes step by step.

Style, script and data are inside; a content security policy forbids every request, and lets only the page's own script
run. All text of episodes is data to the script, which writes it as text and never as markup.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from exprag import html
from exprag.evaluation.causes import CAUSES, causes_of
from exprag.evaluation.metrics import in_loop
from exprag.evaluation.prompt_pool import Pool, encode
from exprag.evaluation.prompts import writers
from exprag.evaluation.recalled import recalled_ids
from exprag.evaluation.redaction import redacted
from exprag.evaluation.render import sentences
from exprag.evaluation.results import RunResult
from exprag.html import embed
from exprag.text import redactor
from exprag.trajectory import Trajectory

if TYPE_CHECKING:
    from exprag.evaluation.report import Report

__all__ = ["Live", "embed", "page_data", "write"]

PACKAGE = "exprag.evaluation"


@dataclass(frozen=True)
class Live:
    """A run that is still going: what the page says of it, and after how many seconds it loads itself again."""

    text: str
    seconds: float = 10.0


def write(
    path: str | Path,
    report: Report,
    recalled: Mapping[str, Trajectory] | None = None,
    *,
    prompts: bool = True,
    tokenizer: Any = None,
    live: Live | None = None,
) -> Path:
    """Write the page of a report and the runs that it tells of; returns its path. The file appears as a whole or not at all.

    recalled    trajectories by id; those that some step recalled are put in the page, once each, and can be read there. Without
                them, recalled trajectories are named by id, score and reason alone, and prompts that hold them are unknown
    prompts     whether the prompts can be read as they were sent; `tokenizer`: see `exprag.evaluation.prompts`
    live        where a run is still going

    Raises RunError where it cannot be written.
    """
    text = html.render(
        PACKAGE,
        "viewer/page.html",
        title="exprag report: " + ", ".join(run.name for run in report.runs),
        style=html.inline(PACKAGE, "viewer/page.css"),
        script=html.bundle(PACKAGE, "viewer", "start.js"),
        data=html.pack(page_data(report, recalled or {}, prompts=prompts, tokenizer=tokenizer, live=live)),
        pictures=[(picture, b64encode(picture.png).decode("ascii")) for picture in report.pictures],
    )
    return html.write_page(path, text)


def page_data(
    report: Report,
    recalled: Mapping[str, Trajectory],
    *,
    prompts: bool = True,
    tokenizer: Any = None,
    live: Live | None = None,
) -> dict[str, Any]:
    """What the script reads: the report, its sentences, the episodes of each arm with the cause of a loss, which of them went
    round in a loop (their places in the list), the recalled trajectories once each, and the texts of the prompts."""
    runs = report.runs
    episodes = [episode for run in runs for episode in run.episodes]
    hide = redactor()
    records = [_record(episode, hide) | {"arm": arm} for arm, run in enumerate(runs) for episode in run.episodes]
    for record, cause in zip(records, causes_of(episodes), strict=True):
        if cause is not None:
            record["cause"] = {"name": cause.name, "why": hide(cause.why), "step": cause.step}
    ids = {id for run in runs for id in recalled_ids(run)}
    return {
        "report": report.to_dict(),
        "sentences": [sentences(comparison) for comparison in report.comparisons],
        "episodes": records,
        "loops": [index for index, episode in enumerate(episodes) if in_loop(episode)],
        "recalled": {id: _record(recalled[id], hide) for id in sorted(ids & recalled.keys())},
        "causes": CAUSES,
        "prompts": _add_prompts(runs, records, recalled, tokenizer) if prompts else {"texts": [], "notes": [""] * len(runs)},
        "live": None if live is None else asdict(live),
    }


def _add_prompts(
    runs: Sequence[RunResult], records: Sequence[dict[str, Any]], recalled: Mapping[str, Trajectory], tokenizer: Any
) -> dict[str, Any]:
    """Put into each record what its prompts are made of. Returns the texts, and for each arm what is doubtful."""
    pool = Pool()
    notes = []
    rest = iter(records)
    for run in runs:
        parts = list(getattr(run, "parts", ())) or [run]
        part_writers, reasons = writers(parts, recalled, tokenizer)
        writer_of = {episode.id: writer for part, writer in zip(parts, part_writers, strict=True) for episode in part.episodes}
        for episode in run.episodes:
            record, writer = next(rest), writer_of.get(episode.id)
            if writer is not None:
                record["prompt"] = encode(writer, episode, pool)
        doubts = [reason for writer in part_writers if writer is not None for reason in writer.doubts]
        notes.append(" ".join(dict.fromkeys([*(reason for reason in reasons if reason), *doubts])))
    return {"texts": pool.texts, "notes": notes}


def _record(trajectory: Trajectory, hide: Callable[[str], str]) -> dict[str, Any]:
    """The trajectory without what is at its default, and without credentials (`hide`) where a server may have repeated them. A
    list of recalled trajectories that stays the same is written once."""
    record = trajectory.model_dump(mode="python", exclude_defaults=True)
    record |= {name: redacted(record[name], hide=hide) for name in ("provenance", "error") if name in record}
    for written in record.get("steps", ()):
        if written.get("note"):
            written["note"] = hide(written["note"])
    for before, step, written in zip(trajectory.steps, trajectory.steps[1:], record.get("steps", ())[1:], strict=False):
        if step.recalled and step.recalled == before.recalled:
            del written["recalled"]
            written["same_recall"] = True
    return record

