"""Any text environment of Gymnasium: what it shows is made text, its actions are named, its seeds are tasks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from importlib.metadata import version
from typing import Any

from exprag.components import is_import_path, resolve
from exprag.contracts.environment import Info, make_fingerprint
from exprag.errors import ConfigError, EnvError, boundary
from exprag.trajectory import Task
from exprag_envs.bridges.chance import GlobalChance
from exprag_envs.bridges.gym_text import KNOWN, admissible_names, instruction_in, text_of, wants_drawing
from exprag_envs.bridges.seeds import OVER, SeededEnvironment


class GymnasiumEnvironment(SeededEnvironment):
    """Episodes of Gymnasium environments, by ids or by classes.

    id               a registered id ("FrozenLake-v1"), a class of Gymnasium's shape ("package.module:Class"), or a list of these
    setup            "package.module:function", called first with no arguments: for packages that register their ids when asked
    kwargs           arguments of the environment
    actions          names of the numbers of a `Discrete` action space, in order; default: known ones, else the numbers
    instruction      what the agent is told; default: what `info` says after the reset, else known ones
    success          when an episode is won: "" by the flag `success`, `is_success` or `won` in `info`, else by a positive last
                     reward; the name of another flag; or a number that the sum of rewards must reach
    scale            the score is the sum of rewards over this, within -1 and 1; 0: `info["score"]` where there is one, else
                     1 for success and 0 without
    action_templates forms of actions, for the prompt; default: the names of actions
    max_steps        the usual step limit; default: the one that the environment is registered with, else 50
    tasks_per_split  how many seeds a split has
    global_random    True for environments that draw from Python's global generator: it is kept apart for each

    One that changes its action space in mid-episode is an EnvError: what was learnt of its actions would be wrong.
    """

    name = "gymnasium"

    def __init__(
        self,
        id: str | Sequence[str] = "",
        setup: str = "",
        kwargs: Mapping[str, Any] | None = None,
        actions: Sequence[str] = (),
        instruction: str = "",
        success: str | float = "",
        scale: float = 0.0,
        action_templates: Sequence[str] = (),
        max_steps: int = 0,
        tasks_per_split: int = 100,
        global_random: bool = False,
    ) -> None:
        super().__init__(id, tasks_per_split)
        for text in (*self.games, *([setup] if setup else [])):
            if ":" in text and not is_import_path(text):
                raise ConfigError(
                    f"{text!r} is neither an id nor an import path.",
                    cure="A package that must be imported first is named by setup=package.module:function, apart from the id.",
                )
        self._setup, self._kwargs, self._instruction = setup, dict(kwargs or {}), instruction
        self._success, self._scale, self._limit = success, scale, max_steps
        usual = KNOWN.get(self.games[0], ((), ""))[0] if len(self.games) == 1 else ()
        self._actions = tuple(actions) or usual
        self.action_templates = tuple(action_templates) or self._actions
        self._shared = global_random
        self._chance = GlobalChance()
        self._env: Any = None
        self._game = ""
        self._space: Any = None
        self._started = self._over = False
        self._return, self._score, self._won = 0.0, 0.0, False
        self._last_info: Info = {}

    def reset(self, *, seed: int | None = None, options: Mapping[str, Any] | None = None) -> tuple[str, Info]:
        task, game, number = self.start_of(options)
        self._started = False
        self._chance = GlobalChance(number)
        with self._turn():
            if game != self._game or self._env is None:
                self.close()
                self._env, self._game = self._make(game), game
            observation, info = self._env.reset(seed=number)
            text = text_of(observation, self._env)
        self._space, self._last_info = getattr(self._env, "action_space", None), info
        self._return, self._score, self._won, self._over, self._started = 0.0, 0.0, False, False, True
        instruction = self._instruction or instruction_in(observation, info) or KNOWN.get(game, ((), ""))[1] or f"Play {game}."
        return text or instruction, {**self._info(), "task": task.model_copy(update={"instruction": instruction})}

    def step(self, action: str) -> tuple[str, float, bool, bool, Info]:
        if not self._started:
            raise EnvError(f"{self._game or self.games[0]} was not reset.")
        if self._over:
            return OVER, 0.0, True, False, {**self._info(), "valid": False}
        number = self._number(action)
        if number is None:
            names = ", ".join(self._names())
            return f"That is not an action here. Actions: {names}.", 0.0, False, False, {**self._info(), "valid": False}
        self._started = False  # until the step went through: what state it is in after an exception, nobody knows
        with self._turn():
            observation, reward, terminated, truncated, info = self._env.step(number)
            text = text_of(observation, self._env)
        self._started = True
        self._last_info = info
        space = getattr(self._env, "action_space", None)
        if space != self._space:
            raise EnvError(
                f"{self._game} changed its action space in mid-episode, from {self._space} to {space}.",
                cure="Such an environment cannot be learnt from; wrap it so that the space stays.",
            )
        self._return += float(reward)
        self._over = bool(terminated or truncated)
        self._won = self._is_won(float(reward), bool(terminated), info)
        self._score = self._score_of(info)
        valid = info.get("valid", True if self._names() else None)
        return text, float(reward), bool(terminated), bool(truncated), {**self._info(), "valid": valid}

    def admissible_actions(self) -> list[str] | None:
        if not self._started or self._over:
            return [] if self._over else None
        return admissible_names(self._last_info, self._names())

    def max_steps(self, task: Task) -> int:
        if self._limit:
            return int(self._limit)
        import gymnasium

        spec = gymnasium.registry.get(task.type)
        return (spec.max_episode_steps if spec else None) or 50

    def fingerprint(self) -> str:
        grammar = (*self.games, *self.action_templates, repr(sorted(self._kwargs.items())))
        return make_fingerprint(self.name, version("gymnasium"), grammar)

    def close(self) -> None:
        environment, self._env, self._started = self._env, None, False
        if environment is not None and hasattr(environment, "close"):
            environment.close()

    def _make(self, game: str) -> Any:
        import gymnasium

        if self._setup:
            with boundary(EnvError, f"{self._setup} could not be called", cure="It is called with no arguments."):
                resolve(self._setup)()
        if is_import_path(game):
            with boundary(EnvError, f"{game!r} could not be made", cure="It must be a class that can be imported and called."):
                return resolve(game)(**self._kwargs)
        with boundary(EnvError, f"Gymnasium could not make {game!r}", cure="See gymnasium.pprint_registry()."):
            environment = gymnasium.make(game, disable_env_checker=True, **self._kwargs)
            if wants_drawing(environment, self._kwargs):
                environment.close()
                environment = gymnasium.make(game, disable_env_checker=True, render_mode="ansi", **self._kwargs)
            return environment

    def _turn(self) -> Any:
        return self._chance.playing() if self._shared else nullcontext()

    def _names(self) -> tuple[str, ...]:
        """The names of a discrete action space; empty where actions are text."""
        count = getattr(self._space, "n", None)
        if count is None:
            return ()
        return self._actions if len(self._actions) == count else tuple(map(str, range(int(count))))

    def _number(self, action: str) -> Any:
        """What the environment is given: the text itself, or the number of a discrete action; None for no action."""
        names = self._names()
        if not names:
            return action
        words = " ".join(action.split()).lower()
        lowered = [name.lower() for name in names]
        return lowered.index(words) + int(getattr(self._space, "start", 0)) if words in lowered else None

    def _is_won(self, reward: float, terminated: bool, info: Mapping[str, Any]) -> bool:
        if isinstance(self._success, int | float):
            return self._return >= self._success
        if self._success:
            return bool(info.get(self._success, False))
        flags = [info[name] for name in ("success", "is_success", "won") if name in info]
        return bool(flags[0]) if flags else terminated and reward > 0

    def _score_of(self, info: Mapping[str, Any]) -> float:
        score = self._return / self._scale if self._scale else info.get("score", float(self._won))
        number = float(score) if isinstance(score, int | float) else float(self._won)
        return min(1.0, max(-1.0, number))

    def _info(self) -> Info:
        return {"score": self._score, "success": self._won}

