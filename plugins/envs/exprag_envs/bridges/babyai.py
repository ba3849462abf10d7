"""BabyAI (Chevalier-Boisvert et al., 2019) by MiniGrid, in words: what the agent sees is listed by distance and direction."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import redirect_stdout
from importlib.metadata import version
from typing import Any

from exprag.contracts.environment import Info, make_fingerprint
from exprag.errors import ConfigError, EnvError, boundary, closest
from exprag.trajectory import Task
from exprag_envs.bridges.seeds import OVER, SeededEnvironment

ACTIONS = ("turn left", "turn right", "go forward", "pick up", "drop", "toggle", "done")
"""By MiniGrid's numbers, 0 to 6."""
WALL, DOOR = "wall", "door"
_HIDDEN = {"unseen", "empty", "floor", "agent", WALL}


class BabyAI(SeededEnvironment):
    """Levels of BabyAI. `id`: a level or a list of them; `max_steps`: the usual step limit; `tasks_per_split`: seeds of a split.

    An episode is won when the mission is fulfilled; the score is then 1. The expert is MiniGrid's own bot, which knows the grid.
    """

    name = "babyai"
    action_templates = ACTIONS
    experts = ("bot",)

    def __init__(self, id: str | Sequence[str] = "BabyAI-GoToLocal-v0", max_steps: int = 64, tasks_per_split: int = 100) -> None:
        super().__init__(id, tasks_per_split)
        if max_steps < 1:
            raise ConfigError(f"babyai: max_steps={max_steps!r} must be a whole number from 1 on.")
        self._limit = max_steps
        self._env: Any = None
        self._game = ""
        self._over, self._won, self._last = False, False, -1

    def reset(self, *, seed: int | None = None, options: Mapping[str, Any] | None = None) -> tuple[str, Info]:
        task, game, number = self.start_of(options)
        if game != self._game or self._env is None:
            self.close()
            self._env, self._game = _make(game), game
        with redirect_stdout(sys.stderr):  # MiniGrid prints the layouts that it threw away
            observation, _ = self._env.reset(seed=number)
        self._over, self._won, self._last = False, False, -1
        instruction = observation["mission"]
        text = f"Your task: {instruction}.\n{self._describe(observation)}"
        return text, {**self._info(), "task": task.model_copy(update={"instruction": instruction})}

    def step(self, action: str) -> tuple[str, float, bool, bool, Info]:
        if self._env is None:
            raise EnvError("BabyAI was not reset.")
        if self._over:
            return OVER, 0.0, True, False, {**self._info(), "valid": False}
        words = " ".join(action.split()).lower()
        if words not in ACTIONS:
            return f"That is not an action. Actions: {', '.join(ACTIONS)}.", 0.0, False, False, {**self._info(), "valid": False}
        self._last = ACTIONS.index(words)
        observation, reward, terminated, truncated, _ = self._env.step(self._last)
        self._over = bool(terminated or truncated)
        self._won = bool(terminated) and reward > 0
        return self._describe(observation), float(reward), bool(terminated), bool(truncated), {**self._info(), "valid": True}

    def admissible_actions(self) -> list[str]:
        return [] if self._env is None or self._over else list(ACTIONS)

    def expert(self, name: str | None = None) -> Iterator[str]:
        if name not in (None, *self.experts):
            raise ConfigError(f"BabyAI has no expert {name!r}.", cure=closest(str(name), list(self.experts)))
        if self._env is None:
            raise EnvError("BabyAI was not reset.")
        return self._bot()

    def _bot(self) -> Iterator[str]:
        from minigrid.utils.baby_ai_bot import BabyAIBot

        bot = BabyAIBot(self._env)
        last = None
        while not self._over:
            yield ACTIONS[int(bot.replan(last))]
            last = self._last

    def max_steps(self, task: Task) -> int:
        return self._limit

    def fingerprint(self) -> str:
        return make_fingerprint(self.name, version("minigrid"), ACTIONS)

    def close(self) -> None:
        environment, self._env = self._env, None
        if environment is not None:
            environment.close()

    def _info(self) -> Info:
        return {"score": float(self._won), "success": self._won}

    def _describe(self, observation: Mapping[str, Any]) -> str:
        """What is seen, nearest first. The view is 7 by 7; the agent stands in the middle of its last row and looks up it."""
        from minigrid.core.constants import IDX_TO_COLOR, IDX_TO_OBJECT

        image = observation["image"]
        middle, bottom = image.shape[0] // 2, image.shape[1] - 1
        things: list[tuple[int, str]] = []
        for column in range(image.shape[0]):
            for row in range(image.shape[1]):
                kind, colour, state = (int(number) for number in image[column, row])
                name = IDX_TO_OBJECT[kind]
                if name not in _HIDDEN and (column, row) != (middle, bottom):
                    aside, ahead = column - middle, bottom - row
                    thing = f"{_state(name, state)}{IDX_TO_COLOR[colour]} {name}"
                    things.append((abs(aside) + ahead, f"{_article(thing)} {_place(aside, ahead)}"))
        ahead = next((bottom - row for row in range(bottom - 1, -1, -1) if IDX_TO_OBJECT[int(image[middle, row, 0])] == WALL), 0)
        walls = [f"a wall {_steps(ahead)} ahead"] if ahead else []
        view = [text for _, text in sorted(things)] + walls
        carried = self._env.unwrapped.carrying
        hand = f"You carry a {carried.color} {carried.type}." if carried else "You carry nothing."
        return f"You see {'; '.join(view) or 'nothing'}. {hand}"


def _make(level: str) -> Any:
    import gymnasium
    import minigrid  # noqa: F401 - registers its levels

    levels = [id for id in gymnasium.registry if id.startswith("BabyAI-")]
    if level not in levels:
        raise ConfigError(f"BabyAI has no level {level!r}.", cure=closest(level, levels))
    with boundary(EnvError, f"MiniGrid could not make {level!r}"):
        return gymnasium.make(level, disable_env_checker=True)


def _state(name: str, state: int) -> str:
    return ("open ", "closed ", "locked ")[state] if name == DOOR else ""


def _article(thing: str) -> str:
    return f"{'an' if thing[0] in 'aeiou' else 'a'} {thing}"


def _place(aside: int, ahead: int) -> str:
    parts = [f"{_steps(ahead)} ahead"] if ahead else []
    if aside:
        parts.append(f"{_steps(abs(aside))} to the {'left' if aside < 0 else 'right'}")
    return " and ".join(parts)


def _steps(count: int) -> str:
    return "1 step" if count == 1 else f"{count} steps"
