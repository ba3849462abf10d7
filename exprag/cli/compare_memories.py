"""`exprag compare-memories`: what several papers write from experience, at an equal token budget on the same tasks."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from exprag.cli.options import AllowCode, Config, make, options
from exprag.cli.output import say, write_json
from exprag.cli.progress import episodes_bar
from exprag.cli.words import Json, listed, out
from exprag.cli.writer import Writer, with_writer
from exprag.runs.config import RunConfig

if TYPE_CHECKING:
    RunOptions = dict[str, Any] | None
else:
    RunOptions = options(RunConfig)

MEMORIES = "workflows,insights,strategies,playbook,cheat_sheet"


def compare_memories(
    *,
    out: Annotated[Path, out("Folder of the comparison; an interrupted one is continued.")],
    memories: Annotated[str, Parameter(help="Distillers to compare, comma-separated (exprag plugins lists them).")] = MEMORIES,
    writer: Writer = "",
    extract: Annotated[int, Parameter(help="Tasks to write from.")] = 50,
    held_out: Annotated[int, Parameter(help="Tasks to compare on.")] = 50,
    items: Annotated[int, Parameter(help="Items in the prompt, at most.")] = 10,
    budget: Annotated[int, Parameter(help="Tokens that they may take in the prompt.")] = 400,
    expert_successes: Annotated[bool, Parameter(help="Let the expert's won episodes count as successes to write from.")] = False,
    config: Config = None,
    allow_code: AllowCode = False,
    as_json: Json = False,
    values: RunOptions = None,
) -> None:
    """Write several kinds of memory from the same episodes and compare what each brings, paired with no memory."""
    from dataclasses import asdict

    from exprag.distillation.config import DistillConfig
    from exprag.distillation.memories import compare_memories as compare
    from exprag.distillation.memories import lines_of

    run = make(RunConfig, values, config, allow_code)
    run = run.changed(agent=run.agent.changed(hint_budget=budget))
    settings = DistillConfig.make(
        run=run, extract=extract, held_out=held_out, k=items, expert_successes=expert_successes, distiller="feedback"
    )
    table = compare(settings, with_writer(listed(memories), writer, run), out, say, episodes_bar)
    if as_json:
        write_json([asdict(outcome) for outcome in table])
    else:
        for line in lines_of(table):
            say(line)
