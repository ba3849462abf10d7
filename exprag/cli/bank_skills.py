"""`exprag bank skills`: what the episodes of a bank have in common, as agent skills."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from cyclopts.validators import Number

from exprag.cli.bank import Env, Place, Types, Version, app, filter_of
from exprag.cli.output import say
from exprag.cli.words import out as out_option


@app.command
def skills(
    bank: Place,
    /,
    *,
    out: Annotated[Path, out_option("New folder; a skill is a folder NAME with SKILL.md in it.")],
    environment: Env = None,
    types: Types = "",
    least: Annotated[int, Parameter(help="Successes that a task type needs for a skill.", validator=Number(gte=1))] = 2,
    version: Version = None,
) -> None:
    """Write a SKILL.md for each task type: what its successes share, an example, and what failures did. No model is asked."""
    from exprag.bank import Bank
    from exprag.integrations.skills import write_skills

    names = write_skills(Bank.open(bank, version), out, filter_of(environment, types, None), least=least)
    say(f"{out}: {', '.join(names)}.")
