"""An episode in plain lines, as files, skills and judges of other programs read it."""

from __future__ import annotations

from typing import Literal

from exprag.trajectory import Trajectory

LABELS = {"thought": "Thought", "message": "Said"}


def plain_lines(trajectory: Trajectory, spoken: Literal["thought", "message", ""] = "") -> list[str]:
    """`Observation: …` and `Action: …` of each step, and the final observation. `spoken` names what of a step stands between the
    two, where it has some."""
    lines = []
    for step in trajectory.steps:
        words = getattr(step, spoken) if spoken else ""
        between = [f"{LABELS[spoken]}: {words}"] if words else []
        lines += [f"Observation: {step.observation}", *between, f"Action: {step.action}"]
    return [*lines, f"Observation: {trajectory.final_observation}"]
