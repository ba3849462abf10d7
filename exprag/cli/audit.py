"""`exprag audit`: the proof that no episode and no training row saw what its task must not see."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from exprag.cli.output import say
from exprag.cli.words import path as path_parameter


def audit(
    path: Annotated[Path, path_parameter("A finished run, or a training set.")],
    /,
    *,
    bank: Annotated[str | None, Parameter(help="Where its bank is now, if it has moved.")] = None,
) -> int:
    """Prove that nothing was recalled which the task must not see; exit code 1, and the offenders, if something was."""
    from exprag.evaluation.audit import audit as check

    result = check(path, bank)
    for offence in result.offences:
        say(str(offence), "red")
    if result.repeated:
        say(f"{result.repeated} episodes are of a task and seed that the run already has; they are counted once.", "yellow")
    say(f"{path}: {result.checked} checked, {result.recalls} recalls, {len(result.offences)} that should not have been.")
    return int(not result.passed)
