"""The formatter contract: one trajectory as text, and nothing else.

Labels, order, budget, fencing and placement belong to the memory block (`exprag.prompt.block`).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

from exprag.trajectory import Trajectory


@dataclass(frozen=True)
class Transcript:
    """What a formatted trajectory can be read back as: the bare episode."""

    instruction: str
    """What was to be done."""
    turns: tuple[tuple[str, str], ...]
    """(observation, action) pairs, in order."""
    final_observation: str = ""
    """What the last action led to."""


class Formatter(ABC):
    """Writes one trajectory for a model. Must be deterministic, and must not raise for any valid trajectory."""

    @abstractmethod
    def format(self, trajectory: Trajectory) -> str:
        """The trajectory as text, without label or outcome."""

    def parse(self, text: str) -> Transcript | None:
        """Read back what `format` wrote; None if the text is not of this format, or the format cannot be read back."""
        return None
