"""Utilities: how much a stored trajectory has helped those who recalled it, learned from the outcomes of their episodes.

After MemRL (Zhang et al., arXiv 2601.03192): each memory has a value Q, and every episode that had it in context moves Q towards
the episode's reward r, Q ← Q + α (r - Q). What is kept is the update and not Q itself, since Q starts from a prior that whoever
asks may set (the trajectory's own outcome, say): after n updates Q = kept · prior + gained, with kept = (1 - α)ⁿ.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from exprag.errors import ConfigError, first_fault
from exprag.files import PARTIAL, beside
from exprag.trajectory import Trajectory

ALPHA = 0.3
FORMAT = "exprag utilities 1"


@dataclass(frozen=True)
class Utility:
    """What `n` episodes taught of one trajectory: Q = kept · prior + gained."""

    n: int = 0
    kept: float = 1.0
    gained: float = 0.0

    def from_prior(self, prior: float) -> float:
        """Q, in [0, 1] if the prior is."""
        return self.kept * prior + self.gained

    def updated(self, reward: float, alpha: float) -> Utility:
        return Utility(self.n + 1, (1 - alpha) * self.kept, (1 - alpha) * self.gained + alpha * reward)


_UTILITIES = TypeAdapter(dict[str, Utility])


def learn_utilities(episodes: Iterable[Trajectory], alpha: float = ALPHA) -> dict[str, Utility]:
    """By trajectory id, what the episodes taught, in their order; sorted by id.

    An episode counts once for each trajectory that was in context at any of its steps (`Step.recalled`). Its reward is 1 for
    a success, else its score, at least 0. An episode that broke off with an error, or whose outcome is unknown, teaches nothing.
    """
    if not 0 < alpha <= 1:
        raise ConfigError(f"The learning rate alpha lies above 0 and is at most 1; not {alpha!r}.")
    learned: dict[str, Utility] = {}
    for episode in episodes:
        reward = _reward(episode)
        if reward is None:
            continue
        for id in sorted({recall.id for step in episode.steps for recall in step.recalled}):
            learned[id] = learned.get(id, Utility()).updated(reward, alpha)
    return dict(sorted(learned.items()))


def _reward(episode: Trajectory) -> float | None:
    if episode.ended == "error" or (episode.success is None and episode.score is None):
        return None
    return 1.0 if episode.success else max(0.0, episode.score or 0.0)


def write_utilities(path: str | Path, utilities: Mapping[str, Utility]) -> None:
    """Write a JSON file as a whole: whoever reads meanwhile sees the old one or the new."""
    target = Path(path)
    document = {"format": FORMAT, "utilities": {id: asdict(utility) for id, utility in utilities.items()}}
    try:
        with beside(target, f".{os.getpid()}{PARTIAL}") as partial:
            partial.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"The utilities cannot be written to {target}: {error.strerror}.") from error


def read_utilities(path: str | Path) -> dict[str, Utility]:
    """What `write_utilities` wrote. Raises ConfigError for a file that is missing, damaged, or something else."""
    cure = "Make one from runs with a memory: exprag bank utilities RUN -o FILE"
    try:
        document = json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"The utilities {path} cannot be read: {error.strerror}.", cure=cure) from error
    except ValueError as error:
        raise ConfigError(f"The utilities {path} are not JSON: {error}.", cure=cure) from error
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise ConfigError(f"{path} is not a file of utilities ({FORMAT!r}).", cure=cure)
    try:
        return _UTILITIES.validate_python(document.get("utilities"))
    except ValidationError as error:
        raise ConfigError(f"The utilities {path} do not validate: {first_fault(error)}.", cure=cure) from error
