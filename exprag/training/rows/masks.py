"""Which turns of a row are learnt."""

from __future__ import annotations

from collections import Counter

from exprag.training.rows.config import DataConfig
from exprag.training.rows.spans import Message, Span
from exprag.trajectory import Trajectory


def trained_turns(messages: list[Message], span: Span, masked: set[int]) -> list[bool]:
    """Flags by message: the assistant's turns are the steps up to the span's last, counted from the end."""
    flags = [False] * len(messages)
    step = span.last
    for n in range(len(messages) - 1, -1, -1):
        if messages[n]["role"] == "assistant":
            flags[n] = step >= span.first and step not in masked
            step -= 1
    return flags


def masked_steps(trajectory: Trajectory, config: DataConfig) -> set[int]:
    """The steps whose turns are not learnt."""
    failed = config.failures == "mask" and not trajectory.success
    steps: set[int] = set()
    counts: Counter[tuple[str, str]] = Counter()
    for n, step in enumerate(trajectory.steps):
        pair = (step.observation, step.action)
        if (step.valid is False and (config.mask_invalid or failed)) or (counts[pair] and (config.mask_repeats or failed)):
            steps.add(n)
        counts[pair] += 1
    return steps
