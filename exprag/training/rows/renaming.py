"""Episodes in renamed words, the memory beside them alike: rows from which an answer cannot be known but by reading the memory.

Memory is searched with the words of the record, and written in the new ones.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, replace

from exprag.contracts.formatter import Formatter, Transcript
from exprag.environments.renaming import Renaming, Verbs
from exprag.memory import MemoryState
from exprag.training.rows.config import DataConfig
from exprag.training.rows.spans import Message, Replay
from exprag.trajectory import Trajectory


def renamed_replay(replay: Replay, trajectory: Trajectory, config: DataConfig) -> RenamedReplay | None:
    """How the episode is replayed in new words; None where the draw of seed and episode leaves it as it is."""
    seed = f"{config.seed} rename {trajectory.id}"
    invent = random.Random(seed).random() < config.rename_share
    exchange = random.Random(f"{seed} exchange").random() < config.exchange_share
    exchange_verbs = exchange and random.Random(f"{seed} verbs").random() < config.exchange_verbs_share
    if not (invent or exchange):
        return None
    verbs: Verbs = "invented" if invent else "exchanged" if exchange_verbs else "kept"
    names = config.rename_names and invent
    renaming = Renaming.draw(replay.prompt.templates, seed, verbs=verbs, names=names, exchange=trajectory if exchange else None)
    prompt = replace(replay.prompt, templates=renaming.templates(replay.prompt.templates))
    parts = {"prompt": prompt, "formatter": RenamedFormatter(replay.formatter, renaming)}
    return RenamedReplay(**{**vars(replay), **parts}, renamed=renaming.trajectory(trajectory))


class RenamedFormatter(Formatter):
    """A formatter that writes trajectories in the new words."""

    def __init__(self, formatter: Formatter, renaming: Renaming) -> None:
        self._formatter, self._renaming = formatter, renaming

    def format(self, trajectory: Trajectory) -> str:
        return self._formatter.format(self._renaming.trajectory(trajectory))

    def parse(self, text: str) -> Transcript | None:
        return self._formatter.parse(text)


@dataclass(frozen=True, kw_only=True)
class RenamedReplay(Replay):
    """A replay whose messages tell the episode in new words."""

    renamed: Trajectory

    def _prompt_of(self, trajectory: Trajectory, last: int, memory: MemoryState | None) -> list[Message]:
        return super()._prompt_of(self.renamed, last, memory)

    def _turns(self, trajectory: Trajectory, number: int) -> list[str]:
        return super()._turns(self.renamed, number)

    def _compressed(self, trajectory: Trajectory, now: int) -> int:
        return super()._compressed(self.renamed, now)
