"""Weights & Biases: offline, in RUN/wandb, unless WANDB_MODE says otherwise; `wandb sync` uploads what was written offline."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from exprag.tracking.tracker import Tracker


class WeightsAndBiases(Tracker):
    """Logs into a run of the project WANDB_PROJECT, by default exprag."""

    def __init__(self) -> None:
        self._run: Any = None

    def run_start(self, name: str, config: Mapping[str, Any], folder: Path) -> None:
        import wandb

        folder.mkdir(parents=True, exist_ok=True)
        self._run = wandb.init(
            project=os.environ.get("WANDB_PROJECT", "exprag"),
            name=name,
            config=dict(config),
            dir=str(folder),
            mode=os.environ.get("WANDB_MODE", "offline"),
            settings=wandb.Settings(silent=True, console="off", disable_git=True),
        )

    def episode(self, number: int, values: Mapping[str, float]) -> None:
        self._run.log({f"episode/{name}": value for name, value in values.items()}, step=number)

    def run_end(self, values: Mapping[str, float]) -> None:
        self._run.summary.update({f"run/{name}": value for name, value in values.items()})
        self._run.finish()


def make() -> Tracker:
    return WeightsAndBiases()
