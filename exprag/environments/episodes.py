"""Episodes for other libraries' loops: an environment with its tasks, playing one episode at a time within a step limit."""

from __future__ import annotations

import random
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from exprag import plugins
from exprag.contracts.environment import TextEnvironment, answering
from exprag.environments import calls
from exprag.environments.calls import Outcome
from exprag.errors import ConfigError, EnvError
from exprag.trajectory import Ending, EpisodeError, Provenance, Step, Task, Trajectory, now

OVER = "The episode is over."


class Episodes:
    """Plays tasks of an environment, named or drawn.

    environment   a name, an import path, or an object; `options` go to a named one
    split, types  which tasks are drawn from; `tasks` names them instead
    max_steps     an episode is truncated then; default: the environment's own limit for the task

    `trajectory` is the episode as it stands, with its error where the environment broke.
    """

    def __init__(
        self,
        environment: str | TextEnvironment,
        *,
        options: Mapping[str, Any] | None = None,
        split: str = "",
        types: Collection[str] | None = None,
        tasks: Iterable[Task | str] | None = None,
        max_steps: int | None = None,
    ) -> None:
        self.environment: TextEnvironment = (
            plugins.create("environment", environment, **(options or {})) if isinstance(environment, str) else environment
        )
        self.split = split or self.environment.splits[0]
        self._types, self._names, self._max_steps = types, None if tasks is None else list(tasks), max_steps
        self._lists: dict[str, list[Task]] = {}
        self._chance = random.Random(0)
        self._task: Task | None = None
        self._seed: int | None = None
        self._limit = 0
        self._error: EpisodeError | None = None
        self.steps: list[Step] = []
        self.last = Outcome("")

    def tasks(self, split: str = "") -> list[Task]:
        """The tasks of a split, or those that were named, listed once. Raises ConfigError where there are none."""
        split = split or self.split
        if split not in self._lists:
            with answering(self.environment, "tasks"):
                if self._names is not None:
                    self._lists[split] = [self.environment.task(name) for name in self._names]
                else:
                    self._lists[split] = list(self.environment.tasks(split, self._types))
        if not self._lists[split]:
            raise ConfigError(f"Environment {self.environment.name!r} has no task in split {split!r} of these types.")
        return self._lists[split]

    def start(self, *, seed: int | None = None, task: Task | Mapping[str, Any] | str | None = None) -> Outcome:
        """Start an episode: of `task`, else of one that `seed` draws, else of one drawn by chance that goes on from the last."""
        if seed is not None:
            self._chance = random.Random(seed)
        self._task, self._error, self.steps = None, None, []
        record = calls.find_task(self.environment, task) if task is not None else self._chance.choice(self.tasks())
        self._seed = self._chance.randrange(2**31) if seed is None else seed
        self.last = calls.reset(self.environment, record, self._seed)
        self._task = self.last.task or record
        self._limit = self._max_steps or calls.max_steps(self.environment, record)
        return self.last

    def play(self, action: str) -> Outcome:
        """Play an action; after the end nothing is played, and the outcome says so. Raises EnvError where the environment breaks:
        the episode is over then."""
        if self._task is None:
            raise EnvError("No episode was started.", cure="Reset first.")
        if self.over:
            last = self.last
            return Outcome(OVER, 0.0, last.terminated, last.truncated, last.score, last.success, False)
        before = self.last
        try:
            outcome = calls.step(self.environment, action, before)
        except EnvError as error:
            self._error = EpisodeError(boundary=error.boundary, message=str(error))
            raise
        self.steps.append(Step(observation=before.observation, action=action, reward=outcome.reward, valid=outcome.valid))
        truncated = outcome.truncated or (len(self.steps) >= self._limit and not outcome.terminated)
        self.last = Outcome(
            outcome.observation,
            outcome.reward,
            outcome.terminated,
            truncated,
            outcome.score,
            outcome.success,
            outcome.valid,
        )
        return self.last

    @property
    def task(self) -> Task:
        """The task of the episode. Raises EnvError before the first."""
        if self._task is None:
            raise EnvError("No episode was started.", cure="Reset first.")
        return self._task

    @property
    def over(self) -> bool:
        """Whether the episode has ended, by the task, by its limit or by an error."""
        return self.last.terminated or self.last.truncated or self._error is not None

    @property
    def broken(self) -> bool:
        """Whether the environment broke in this episode: its outcome says nothing then."""
        return self._error is not None

    @property
    def trajectory(self) -> Trajectory:
        """The episode as it stands; one that goes on counts as given up."""
        ended: Ending = "terminated" if self.last.terminated else "truncated" if self.last.truncated else "gave_up"
        return Trajectory(
            task=self.task,
            steps=tuple(self.steps),
            final_observation=self.last.observation,
            success=self.last.success,
            score=self.last.score,
            ended="error" if self._error else ended,
            source="agent",
            fingerprint=calls.fingerprint(self.environment),
            provenance=Provenance(created=now(), seed=self._seed),
            error=self._error,
        )

    def close(self) -> None:
        """Close the environment; it may be started again."""
        self._task = None
        calls.close(self.environment)
