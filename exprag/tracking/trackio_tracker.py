"""Trackio: a database on this machine, where TRACKIO_DIR says; `trackio show` shows it. A Space is used only if one is named in
TRACKIO_SPACE_ID."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

from exprag.tracking.tracker import Tracker


class Trackio(Tracker):
    """Logs into a run of the project TRACKIO_PROJECT, by default exprag."""

    def __init__(self) -> None:
        self._run: Any = None

    def run_start(self, name: str, config: Mapping[str, Any], folder: Path) -> None:
        import trackio

        os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
        with redirect_stdout(sys.stderr):  # it says how it is shown
            self._run = trackio.init(
                project=os.environ.get("TRACKIO_PROJECT", "exprag"),
                name=name,
                config=dict(config),
                space_id=os.environ.get("TRACKIO_SPACE_ID"),
                embed=False,
                auto_log_gpu=False,
                auto_log_cpu=False,
            )

    def episode(self, number: int, values: Mapping[str, float]) -> None:
        self._run.log({f"episode/{name}": value for name, value in values.items()}, step=number)

    def run_end(self, values: Mapping[str, float]) -> None:
        self._run.log({f"run/{name}": value for name, value in values.items()})
        with redirect_stdout(sys.stderr):
            self._run.finish()


def make() -> Tracker:
    return Trackio()
