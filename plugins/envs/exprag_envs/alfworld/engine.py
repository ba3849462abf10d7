"""What a simulator of ALFWorld's text games must offer, and nothing of how it does it.

Two engines stand behind the environment: `exprag_envs.alfworld.fast` (a direct simulator) and
`exprag_envs.alfworld.reference` (the alfworld package itself). Both must give the same text, byte for byte.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

NOTHING_HAPPENS = "Nothing happens."


@dataclass(frozen=True)
class GameState:
    """What the game said and whether its goal is now met. `feedback` is the package's text, unchanged."""

    feedback: str
    won: bool

    @property
    def understood(self) -> bool:
        """False where the command was not one of the admissible ones."""
        return self.feedback != NOTHING_HAPPENS


class Engine(Protocol):
    """One game at a time: `load`, `reset`, then any number of `step`; `reset` starts the same game again."""

    def load(self, game: Mapping[str, Any], key: str) -> None:
        """Take a game: the parsed JSON of a `game.tw-pddl` (pddl_domain, grammar, pddl_problem, walkthrough).

        `key` names it in messages and caches nothing by itself. Raises EnvError where the content is not such a game.
        """
        ...

    def reset(self) -> GameState:
        """The opening text (rooms, receptacles and the task)."""
        ...

    def step(self, command: str) -> GameState:
        """Play any string; a command that is not admissible gives `NOTHING_HAPPENS` and changes nothing."""
        ...

    def admissible(self) -> list[str]:
        """The commands that the present state understands, sorted, each once."""
        ...

    def expert(self, goal: Mapping[str, Any], seed: int) -> Iterator[str]:
        """The package's hand-coded expert, from a fresh `reset`: each action is drawn after the one before it was
        played (by anyone). It ends when the game is won or the expert gives up.

        `goal`: `task_type` and the `pddl_params` of `traj_data.json` (object_target, parent_target, toggle_target …).
        `seed` feeds its random choices; equal seeds give equal actions.
        """
        ...

    def close(self) -> None:
        """Give back what the game holds. Idempotent; `load` may follow."""
        ...
