"""`exprag stream`: tasks in an order, a memory that grows as they come, and an agent without memory on the same visits."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from exprag.cli.options import AllowCode, Config, make, options
from exprag.cli.output import say, write_json
from exprag.cli.progress import episodes_bar
from exprag.cli.words import Json, out
from exprag.cli.writer import Writer, with_writer
from exprag.runs.config import RunConfig

if TYPE_CHECKING:
    RunOptions = dict[str, Any] | None
else:
    RunOptions = options(RunConfig)


def stream(
    *,
    out: Annotated[Path, out("Folder of the stream; an interrupted one is continued.")],
    arrival: Annotated[
        Literal["isolated", "by-type", "interleaved"],
        Parameter(help="How tasks arrive: type by type; isolated, the memory as it began before each type; types in turns."),
    ] = "by-type",
    revisits: Annotated[
        bool, Parameter(help="Whether tasks come again; where isolated they never do.", negative="--no-revisits")
    ] = True,
    distiller: Annotated[
        str, Parameter(help="What writes items from each round. Without one, and without --learn, successful episodes are kept.")
    ] = "",
    writer: Writer = "",
    config: Config = None,
    allow_code: AllowCode = False,
    as_json: Json = False,
    values: RunOptions = None,
) -> None:
    """Let tasks arrive while the memory grows: learning curve, transfer to later types, forgetting, paired with no memory."""
    from exprag.distillation.streams import StreamConfig, play_stream

    run = make(RunConfig, values, config, allow_code)
    fields: dict[str, Any] = {}
    if distiller:
        (_, distiller_options), = with_writer([distiller], writer, run)
        fields = {"distiller": distiller, "distiller_options": distiller_options}
    elif run.learn == "none":
        run = run.changed(learn="success")
    settings = StreamConfig.make(run=run, arrival=arrival, revisits=revisits, **fields)
    outcome = play_stream(settings, out, say=say, bars=episodes_bar)
    if as_json:
        write_json(outcome.to_dict())
