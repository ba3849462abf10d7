"""`exprag report`: arms side by side, with paired differences, and the page on which episodes are read."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from exprag.cli.output import console, say, write_result
from exprag.cli.words import Json, path, paths, texts
from exprag.errors import ConfigError


def report(
    runs: Annotated[list[Path], paths("Run directories, one for each arm.")],
    /,
    *,
    baseline: Annotated[str | None, Parameter(help="Arm to compare the others with; default: the one without a bank.")] = None,
    html: Annotated[Path | None, path("Also write the page, with every episode to read, to this file.", "--html")] = None,
    bank: Annotated[
        list[str] | None,
        texts("Where recalled trajectories are read from, instead of the banks that the runs name; repeatable.", "--bank"),
    ] = None,
    as_json: Json = False,
    markdown: Annotated[bool, Parameter(name="--markdown", help="Print Markdown, and nothing else, on stdout.")] = False,
) -> None:
    """Compare runs: success, score, steps and tokens by task type, and paired differences with 95 % intervals."""
    if as_json and markdown:
        raise ConfigError("--json and --markdown were both given.", cure="Choose one of them.")
    from exprag.evaluation import compare, load_run, write_page
    from exprag.evaluation.recalled import read_recalled

    loaded = [load_run(run) for run in runs]
    result = compare(loaded, baseline)
    if as_json or markdown:
        write_result(result.to_json() + "\n" if as_json else result.to_markdown())
    else:
        console().print(result.to_console())
    if html is not None:
        recalled, problems = read_recalled(loaded, tuple(bank or ()))
        for problem in problems:
            say(f"Recalled trajectories are shown without their text: {problem}", "yellow")
        page = write_page(html, loaded, recalled, baseline=baseline)
        say(f"Read every episode step by step: {page}")
