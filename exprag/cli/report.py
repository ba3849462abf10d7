"""`exprag report`: arms side by side, with paired differences, and the page on which episodes are read."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from exprag.cli.output import console, say, write_result
from exprag.cli.words import Json, path, paths, texts
from exprag.errors import ConfigError

if TYPE_CHECKING:
    from exprag.evaluation import Report
    from exprag.reproduce import Reproduction

Html = Annotated[Path | None, path("Also write the page, with every episode to read, to this file.", "--html")]
Csv = Annotated[Path | None, path("Also write every figure, one a row, to this CSV file.", "--csv")]
Markdown = Annotated[bool, Parameter(name="--markdown", help="Print Markdown, and nothing else, on stdout.")]


def report(
    runs: Annotated[list[Path], paths("Run directories, one for each arm; or the folder of a matrix.")],
    /,
    *,
    baseline: Annotated[str | None, Parameter(help="Arm to compare the others with; default: the one without a bank.")] = None,
    common_tasks: Annotated[
        bool, Parameter(name="--common-tasks", help="Compare runs of different tasks over those that both played.")
    ] = False,
    audit: Annotated[bool, Parameter(name="--audit", negative="--no-audit", help="Look up what was recalled.")] = True,
    html: Html = None,
    csv: Csv = None,
    bank: Annotated[
        list[str] | None,
        texts("Where recalled trajectories are read from, instead of the banks that the runs name; repeatable.", "--bank"),
    ] = None,
    as_json: Json = False,
    markdown: Markdown = False,
) -> None:
    """Compare runs: success, score, steps and tokens by task type, and paired differences with 95 % intervals."""
    one_format(as_json, markdown)
    from exprag.evaluation import report_on
    from exprag.garbage import without_garbage_collection

    with without_garbage_collection():
        result = report_on(runs, baseline, common_tasks=common_tasks, audited=audit, banks=tuple(bank or ()))
        show(result, html=html, csv=csv, banks=tuple(bank or ()), as_json=as_json, markdown=markdown)


def one_format(as_json: bool, markdown: bool) -> None:
    """Raises ConfigError where two formats are asked for."""
    if as_json and markdown:
        raise ConfigError("--json and --markdown were both given.", cure="Choose one of them.")


def show(
    report: Report,
    *,
    printed: Report | Reproduction | None = None,
    html: Path | None = None,
    csv: Path | None = None,
    banks: tuple[str, ...] = (),
    as_json: bool = False,
    markdown: bool = False,
) -> None:
    """Print a report, or what is `printed` in its place, and write its files."""
    from exprag.evaluation import write_page
    from exprag.evaluation.recalled import read_recalled

    result = printed or report
    if as_json or markdown:
        write_result(result.to_json() + "\n" if as_json else result.to_markdown())
    else:
        console().print(result.to_console())
    if csv is not None:
        report.to_csv(csv)
        say(f"Every figure, one a row: {csv}", stderr=True)
    if html is not None:
        recalled, problems = read_recalled([part for run in report.runs for part in (run.parts or (run,))], banks)
        for problem in problems:
            say(f"Recalled trajectories are shown without their text: {problem}", "yellow", stderr=True)
        page = write_page(html, report.runs, recalled, report=report)
        say(f"Read every episode step by step: {page}", stderr=True)
