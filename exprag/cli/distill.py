"""`exprag distill`: hint distillation as one pipeline, and any stage of it alone."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from exprag.cli.options import AllowCode
from exprag.cli.output import say
from exprag.cli.progress import episodes_bar
from exprag.cli.words import listed, name_values, out, path, texts


def distill(
    config: Annotated[Path, path("TOML or JSON file of the distillation.")],
    /,
    *,
    out: Annotated[Path, out("Folder of the distillation; an interrupted one is continued.")],
    stage: Annotated[
        str, Parameter(help="Stages to run, comma-separated: base, hints, teacher, rows, train, held-out, report; or A to D.")
    ] = "",
    distiller: Annotated[str | None, Parameter(help="What writes the hints, over the file's choice.")] = None,
    set_: Annotated[
        list[str] | None, texts("A field of the file; the value is JSON, or text. Repeatable.", "--set", metavar="NAME=VALUE")
    ] = None,
    allow_code: AllowCode = False,
) -> None:
    """Draw hints from an agent's failures, let a teacher act with them, and make rows for a student without them."""
    from exprag.distillation.config import DistillConfig
    from exprag.distillation.stages import STAGES, Distillation

    values: dict[str, Any] = name_values(set_)
    if distiller is not None:
        values["distiller"] = distiller
    settings = DistillConfig.read(config, allow_code=allow_code, **values)
    Distillation(settings, out, say, episodes_bar).play(listed(stage) or STAGES)
