"""The environment `alfworld-generated`: ALFWorld played on games made on the spot, for anyone without its data."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from exprag.errors import ConfigError, EnvError, closest
from exprag.trajectory import Task
from exprag_envs.alfworld import games
from exprag_envs.alfworld.engine import Engine
from exprag_envs.alfworld.environment import AlfWorld
from exprag_envs.alfworld.generate import game_id, generate, goal_of

# Game n of a split has seed FIRST_SEED[split] + n: the splits share no seed up to a million games a type.
SEEDS_PER_SPLIT = 1_000_000
FIRST_SEED = {"train": 0, "test": SEEDS_PER_SPLIT}

_ID = re.compile(r"(train|test)/([a-z_]+)/(\d{4,})")


class AlfWorldGenerated(AlfWorld):
    """Household tasks in text in generated rooms: seeded, solvable, no download.

    engine          "fast", or "alfworld" (the package itself)
    games_per_type  how many games of each of the six types `tasks` lists in each split; ids beyond it can be played too
    cache_dir       where engine "alfworld" keeps its PDDL translations
    """

    name = "alfworld-generated"
    splits = ("train", "test")
    experts = ("explorer", "handcoded", "walkthrough", "searcher")

    def __init__(self, engine: str = "fast", games_per_type: int = 100, cache_dir: str | Path | None = None) -> None:
        super().__init__(engine=engine, cache_dir=cache_dir)
        if not 0 < games_per_type <= SEEDS_PER_SPLIT:
            raise ConfigError(f"games_per_type is {games_per_type}; a number from 1 to {SEEDS_PER_SPLIT:,} was expected.")
        self._games_per_type = games_per_type

    def tasks(self, split: str, types: Collection[str] | None = None) -> Iterator[Task]:
        """Tasks by type and number. No game is made before it is reset."""
        if split not in self.splits:
            raise ConfigError(f"{self.name} has no split {split!r}.", cure=closest(split, list(self.splits)))
        selection = games.expand_types(types)
        return (
            self._task(split, task_type, number)
            for task_type in games.TASK_TYPES
            if task_type in selection
            for number in range(self._games_per_type)
        )

    def task(self, task: Task | Mapping[str, Any] | str) -> Task:
        if isinstance(task, str):
            parts = _ID.fullmatch(task)
            if parts is None or parts[2] not in games.TASK_TYPES or int(parts[3]) >= SEEDS_PER_SPLIT:
                raise EnvError(
                    f"Environment {self.name!r} has no task {task!r}.",
                    cure='Ids read like "train/pick_and_place_simple/0007": split, task type, number.',
                )
            return self._task(parts[1], parts[2], int(parts[3]))
        return super().task(task)

    def _task(self, split: str, task_type: str, number: int) -> Task:
        seed = FIRST_SEED[split] + number
        goal = goal_of(seed, task_type)
        return Task(
            environment=self.name,
            id=f"{split}/{task_type}/{number:04}",
            split=split,
            type=task_type,
            group=game_id(seed, goal),
            metadata={"seed": seed, "room": goal.room, "object": goal.target, "receptacle": goal.parent},
        )

    def _load(self, task: Task) -> Engine:
        if self._engine is None:
            self._engine = self._make_engine()
        if self._loaded != task.id:
            self._loaded = self._state = None
            task = self.task(task.id)
            game = generate(int(task.metadata["seed"]), task.type)  # type: ignore[arg-type]
            if self.engine_name == "alfworld" and "grammar" not in game:
                raise EnvError(
                    "Engine 'alfworld' needs the alfworld package's logic files, and they are not installed.",
                    cure="pip install 'exprag[alfworld]', or use engine='fast'.",
                )
            self._engine.load(game, task.id)
            self._game = self._trial = game
            self._loaded = task.id
        return self._engine
