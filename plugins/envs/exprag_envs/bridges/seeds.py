"""Tasks of environments that know seeds and no tasks: a task is a game and a seed.

The id is "GAME/SPLIT/NUMBER", the type is the game. The seeds of the splits are disjoint: numbers from 0, from 1,000,000 and from
2,000,000 on. The seed of a run changes nothing: a task is one fixed world.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from exprag.contracts.environment import TextEnvironment
from exprag.errors import ConfigError, EnvError, closest
from exprag.trajectory import Task

FIRST_SEED = {"train": 0, "dev": 1_000_000, "test": 2_000_000}
OVER = "The episode is over."


class SeededEnvironment(TextEnvironment):
    """An environment whose tasks are the seeds of one or several games; `games` are their names, at least one.

    `first_seeds`: the seed of each split's task number 0.
    """

    splits = tuple(FIRST_SEED)
    first_seeds: Mapping[str, int] = FIRST_SEED

    def __init__(self, games: str | Sequence[str], tasks_per_split: int) -> None:
        names = [games] if isinstance(games, str) else games
        if not isinstance(names, list | tuple) or not names or not all(isinstance(name, str) and name for name in names):
            cure = """Write --set id=ID, or --set id='["ID", "ID"]'."""
            raise ConfigError(f"{self.name}: id={games!r} names no game.", cure=cure)
        if isinstance(tasks_per_split, bool) or not isinstance(tasks_per_split, int) or tasks_per_split < 1:
            raise ConfigError(f"{self.name}: tasks_per_split={tasks_per_split!r} must be a whole number from 1 on.")
        self.games = tuple(dict.fromkeys(names))
        self.tasks_per_split = tasks_per_split

    def tasks(self, split: str, types: Collection[str] | None = None) -> Iterator[Task]:
        if split not in self.splits:
            raise ConfigError(f"{self.name} has no split {split!r}.", cure=closest(split, list(self.splits)))
        if unknown := sorted(set(types or ()) - set(self.games)):
            raise ConfigError(f"{self.name} has no type {unknown[0]!r}.", cure=closest(unknown[0], list(self.games)))
        games = [game for game in self.games if types is None or game in types]
        return (self._task(game, split, number) for game in games for number in range(self.tasks_per_split))

    def task(self, task: Task | Mapping[str, Any] | str) -> Task:
        if not isinstance(task, str):
            return super().task(task)
        game, split, number = (["", "", *task.rsplit("/", 2)])[-3:]
        if game in self.games and split in self.splits and number.isascii() and number.isdigit():
            record = self._task(game, split, int(number))
            if record.id == task and int(number) < self.tasks_per_split:
                return record
        near = closest(task, [f"{game}/{split}/0" for game in self.games for split in self.splits])
        raise EnvError(f"{self.name} has no task {task!r}; numbers end below {self.tasks_per_split}.", cure=near)

    def _task(self, game: str, split: str, number: int) -> Task:
        return Task(environment=self.name, id=f"{game}/{split}/{number}", split=split, type=game)

    def start_of(self, options: Mapping[str, Any] | None) -> tuple[Task, str, int]:
        """The task that a reset names, its game and its seed. Raises EnvError where it names none."""
        option = (options or {}).get("task")
        if option is None:
            raise EnvError(f"{self.name} needs to know its task.", cure='reset(options={"task": …}) with one of tasks(SPLIT).')
        task = self.task(self.task(option).id)
        game, split, number = task.id.rsplit("/", 2)
        return task, game, self.first_seeds[split] + int(number)
