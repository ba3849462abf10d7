"""ALFWorld's text games through the environment contract; which engine simulates them is an option.

The observation is the engine's text, unchanged. ALFWorld: Shridhar et al., "ALFWorld: Aligning Text and Embodied
Environments for Interactive Learning" (ICLR 2021).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from exprag.contracts.environment import Info, TextEnvironment, make_fingerprint
from exprag.errors import ConfigError, EnvError, closest
from exprag.trajectory import Task
from exprag_envs.alfworld import games, wording
from exprag_envs.alfworld.cache import default_cache_dir
from exprag_envs.alfworld.engine import Engine, GameState

if TYPE_CHECKING:
    from exprag_envs.alfworld.fast import FastEngine

ENGINES = {
    "fast": "exprag_envs.alfworld.fast:FastEngine",
    "alfworld": "exprag_envs.alfworld.reference:ReferenceEngine",
}
FAST_EXPERTS = ("explorer", "searcher")
GOALS = ("template", "human")

_GOAL = re.compile(r"Your task is to: (.*)")


class AlfWorld(TextEnvironment):
    """Household tasks in text: find, clean, heat, cool, light up and place objects.

    engine      "fast", or "alfworld" (the package itself: the reference, some thousand times slower)
    data        the folder that holds `json_2.1.1`; default ALFWORLD_DATA, then ~/.cache/alfworld
    goals       "template": the goal as the game words it; "human": as a person did (one of about three, by the seed)
    cache_dir   for the index of the games and, with engine "alfworld", their PDDL translations; default: the user's
                cache folder
    trust       play games whose text grammar is not ALFWorld's own. The package evaluates the grammar: such a file is a
                program. Only for files that you made yourself, and only with engine "alfworld".
    """

    name = "alfworld"
    splits: tuple[str, ...] = games.SPLITS
    action_templates = wording.ACTION_TEMPLATES
    experts: tuple[str, ...] = ("handcoded", "walkthrough", "explorer", "searcher")
    type_groups = games.DIFFICULTY

    def __init__(
        self,
        engine: str = "fast",
        data: str | Path | None = None,
        goals: str = "template",
        cache_dir: str | Path | None = None,
        trust: bool = False,
    ) -> None:
        for option, value, names in (("engine", engine, tuple(ENGINES)), ("goals", goals, GOALS)):
            if value not in names:
                raise ConfigError(f"ALFWorld has no {option} {value!r}.", cure=closest(str(value), list(names)))
        if trust and engine != "alfworld":
            raise ConfigError("Only engine 'alfworld' can play a game with another grammar.", cure="Add engine='alfworld'.")
        self.engine_name = engine
        if engine != "fast":
            self.experts = tuple(name for name in self.experts if name not in FAST_EXPERTS)
        self._data = data
        self._goals = goals
        self._trust = trust
        self._cache_dir = Path(cache_dir).expanduser() if cache_dir else default_cache_dir()
        options = {"cache_dir": self._cache_dir} if engine == "alfworld" else {}
        self._make_engine: Callable[[], Engine] = lambda: _engine(engine, options)
        self._engine: Engine | None = None
        self._loaded: str | None = None
        self._game: dict[str, Any] = {}
        self._trial: dict[str, Any] = {}
        self._state: GameState | None = None
        self._seed = 0

    def tasks(self, split: str, types: Collection[str] | None = None) -> Iterator[Task]:
        """Tasks in order of their ids; `types` takes the six ALFRED names, "easy" and "hard". No game is parsed."""
        if split not in self.splits:
            raise ConfigError(f"ALFWorld has no split {split!r}.", cure=closest(split, list(self.splits)))
        return games.list_tasks(games.data_root(self._data), split, games.expand_types(types), self._cache_dir)

    def task(self, task: Task | Mapping[str, Any] | str) -> Task:
        if isinstance(task, str):
            return games.find_task(games.data_root(self._data), task)
        return super().task(task)

    def reset(self, *, seed: int | None = None, options: Mapping[str, Any] | None = None) -> tuple[str, Info]:
        if not options or options.get("task") is None:
            raise EnvError("reset needs a task.", cure='Pass options={"task": task}, with a task from tasks(split).')
        task = self.task(options["task"])
        engine = self._load(task)
        self._seed = seed or 0
        self._state = engine.reset()
        text = self._state.feedback
        if self._goals == "human":
            text = self._in_human_words(text)
        goal = _GOAL.search(text)
        task = task.model_copy(update={"instruction": goal[1].strip() if goal else ""})
        return text, {"task": task, **self._outcome(self._state)}

    def step(self, action: str) -> tuple[str, float, bool, bool, Info]:
        before = self._playing()
        state = cast(Engine, self._engine).step(action)
        self._state = state
        reward = float(state.won) - float(before.won)
        return state.feedback, reward, state.won, False, {**self._outcome(state), "valid": state.understood}

    def admissible_actions(self) -> list[str]:
        self._playing()
        return cast(Engine, self._engine).admissible()

    def expert(self, name: str | None = None) -> Iterator[str]:
        """ "handcoded": explores, random by the seed of `reset`, gives up after 100 steps. "walkthrough": the planner's
        shortest way, kept in the game file; it walks straight to objects that it has not seen. "explorer" (engine "fast"
        only): the hand-coded one without the package's mistake that makes it lose every other game with two objects. "searcher"
        (engine "fast" only): searches place by place and does nothing beside, the same with every seed: to learn from."""
        name = name or self.experts[0]
        if name not in self.experts:
            raise EnvError(f"ALFWorld has no expert {name!r}.", cure=closest(name, list(self.experts)))
        self._playing()
        if name == "walkthrough":
            if not self._game.get("walkthrough"):
                raise EnvError(f"The game {self._loaded} holds no walkthrough.", cure="Use the expert 'handcoded'.")
            return iter(self._game["walkthrough"])
        goal = {**self._trial["pddl_params"], "task_type": self._trial["task_type"]}
        if name == "explorer":
            return cast("FastEngine", self._engine).expert(goal, self._seed, heeds_moves=True)
        if name == "searcher":
            return cast("FastEngine", self._engine).searcher(goal)
        return cast(Engine, self._engine).expert(goal, self._seed)

    def fingerprint(self) -> str:
        """The same for both engines: their texts are the same."""
        return make_fingerprint(self.name, wording.VERSION, self.action_templates)

    def close(self) -> None:
        if self._engine is not None:
            self._engine.close()
        self._engine = self._loaded = self._state = None

    def _load(self, task: Task) -> Engine:
        if self._engine is None:
            self._engine = self._make_engine()
        if self._loaded != task.id:
            self._loaded = self._state = None
            self._game, self._trial = games.read_game(games.data_root(self._data), task)
            if not self._trust and not games.is_known_grammar(str(self._game["grammar"])):
                raise EnvError(
                    f"The game {task.id} has a text grammar that is not ALFWorld's own; grammars are evaluated as code.",
                    cure="If you made the file yourself: engine='alfworld', trust=True. Else download the games again.",
                )
            self._engine.load(self._game, task.id)
            self._loaded = task.id
        return self._engine

    def _playing(self) -> GameState:
        if self._state is None:
            raise EnvError("No game is being played.", cure="Call reset first.")
        return self._state

    def _in_human_words(self, text: str) -> str:
        annotations = self._trial.get("turk_annotations", {}).get("anns", [])
        if not annotations:
            raise EnvError(f"The game {self._loaded} has no human goal.", cure="Use goals='template'.")
        goal = annotations[self._seed % len(annotations)]["task_desc"].strip()
        return _GOAL.sub(lambda _: f"Your task is to: {goal}", text)

    @staticmethod
    def _outcome(state: GameState) -> Info:
        return {"score": 1.0 if state.won else 0.0, "success": state.won}


def _engine(name: str, options: dict[str, Any]) -> Engine:
    module, _, attribute = ENGINES[name].partition(":")
    return getattr(import_module(module), attribute)(**options)
