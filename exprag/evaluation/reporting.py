"""The evaluation in one call: play, pair, report; and the page of runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from os.path import isdir
from pathlib import Path
from typing import TYPE_CHECKING, Any

from exprag.errors import ExpragError
from exprag.evaluation import page
from exprag.evaluation.audit import audit
from exprag.evaluation.matrices import is_matrix, load_matrix
from exprag.evaluation.report import Audited, Report, compare
from exprag.evaluation.results import RunResult, load_run
from exprag.runs.readable import readable
from exprag.text import redact
from exprag.trajectory import Trajectory

if TYPE_CHECKING:
    from exprag.evaluation.page import Live
    from exprag.runs import RunConfig
    from exprag.runs.matrix import Matrix
    from exprag.runs.matrix_play import MatrixProgress


def evaluate(
    arms: Mapping[str, RunConfig] | Matrix,
    out: str | Path,
    *,
    seeds: Sequence[int] = (),
    index_states: Sequence[str] = (),
    baseline: str | None = None,
    retry_errors: bool = False,
    progress: Callable[[MatrixProgress], None] | None = None,
) -> Report:
    """Play arms over their tasks in the folder `out`, pair them task by task, and report.

        report = evaluate({"no-memory": config, "memory": config.changed(bank="bank")}, "runs/evaluation", seeds=(1, 2, 3))

    `arms`: configurations by name, or a matrix. `seeds`: each arm is played with each; default: its own. `index_states`: each arm
    with memory is played with each; default: its own. `baseline`: the arm that the others are compared with; default: the one
    agent without memory. Finished episodes are not played again, so that the same call after an interruption completes it.

    Raises ConfigError for what is no arm, RunError where `out` holds another evaluation and where a cell could not be played;
    everything else that is odd is a note in the report.
    """
    from exprag.runs.matrix import Matrix
    from exprag.runs.matrix_play import play_matrix

    matrix = arms if isinstance(arms, Matrix) else Matrix.make(arms, seeds=seeds, index_states=index_states, baseline=baseline)
    play_matrix(matrix, out, retry_errors=retry_errors, progress=progress)
    return report_on([out], baseline)


def report_on(
    paths: Sequence[str | Path],
    baseline: str | None = None,
    *,
    common_tasks: bool = False,
    audited: bool = True,
    banks: Sequence[str] = (),
) -> Report:
    """The report on run directories and matrices, with the audit of each arm that has memory.

    `common_tasks`: as for `compare`. `audited`: look every recalled trajectory up in its bank; `banks` says where banks are now.
    A matrix without a clear baseline is reported without differences; for runs that are named one by one ConfigError is raised.
    """
    runs: list[RunResult] = []
    notes: list[str] = []
    lenient = False
    for path in map(readable, paths):
        if is_matrix(path):
            matrix = load_matrix(path)
            lenient, baseline = True, baseline or matrix.baseline
            runs += matrix.runs
            notes += matrix.notes
        else:
            runs.append(load_run(path))
    if not runs and notes:
        raise ExpragError("Nothing of the matrix has been played yet.", cure="Play it: exprag matrix FILE --out OUT")
    report = compare(runs, baseline, common_tasks=common_tasks, strict=not lenient)
    audits = tuple(_audit(run, banks) for run in report.runs if run.has_memory and run.episodes) if audited else ()
    return replace(report, notes=(*notes, *report.notes), audits=audits)


def write_page(
    path: str | Path,
    runs: Sequence[RunResult],
    recalled: Mapping[str, Trajectory] | None = None,
    *,
    baseline: str | None = None,
    report: Report | None = None,
    prompts: bool = True,
    tokenizer: Any = None,
    live: Live | None = None,
) -> Path:
    """Write the page on which arms are compared and episodes are read step by step; returns its path.

    `report`: of these runs, where it is made already; else they are compared with `baseline`. The rest, and what is raised, is as
    for `exprag.evaluation.page.write`.
    """
    report = report or compare(runs, baseline)
    return page.write(path, report, recalled, prompts=prompts, tokenizer=tokenizer, live=live)


def _audit(run: RunResult, banks: Sequence[str]) -> Audited:
    """What the audit of an arm's folders says; a bank that cannot be read is a problem, not an error."""
    checked = recalls = 0
    offences: list[str] = []
    for part in run.parts or (run,):
        if part.folder is None:
            continue
        moved = part.bank if run.parts and not part.learns and part.bank and isdir(part.bank) else None
        bank = banks[0] if banks else moved
        try:
            result = audit(part.folder, bank)
        except ExpragError as error:
            return Audited(run.name, checked, recalls, tuple(offences), redact(str(error)))
        checked, recalls = checked + result.checked, recalls + result.recalls
        offences += [redact(str(offence)) for offence in result.offences]
    return Audited(run.name, checked, recalls, tuple(offences))
