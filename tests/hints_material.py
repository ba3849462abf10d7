"""A distillation on made-up homes, small enough for tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from exprag.distillation.config import DistillConfig
from exprag.distillation.stages import Distillation


def settings(**changes: Any) -> DistillConfig:
    """A distillation with the baseline that reads hints: a few seconds."""
    run = {"environment": "alfworld-generated", "split": "train", "types": ["pick_and_place_simple"]}
    run |= {"workers": 0, "max_steps": 16, **changes.pop("run", {})}
    return DistillConfig.make(**{"run": run, "extract": 6, "held_out": 4, "distiller": "expert", **changes})


def play(config: DistillConfig, out: Path, *stages: str) -> list[str]:
    """Run stages, or all; returns what was said."""
    lines: list[str] = []
    pipeline = Distillation(config, out, lines.append)
    if stages:
        pipeline.play(stages)
    else:
        pipeline.play()
    return lines
