"""Environments as an OpenEnv server: each connection has an environment of its own, tasks are found by split and index.

    exprag serve-env alfworld --port 8000

    from openenv.core import GenericEnvClient
    with GenericEnvClient(base_url="http://127.0.0.1:8000").sync() as env:
        result = env.reset(split="train", index=3)          # or task="ID", or seed=7, which draws one
        result = env.step({"action": "look"})               # result.observation["text"], result.reward, result.done

Works with `openenv-core` 0.3 and with its successor `openenv`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Mapping
from typing import Any

from pydantic import Field

from exprag.contracts.environment import TextEnvironment
from exprag.environments import calls
from exprag.environments.episodes import Episodes
from exprag.errors import ConfigError, EnvError, PluginError
from exprag.trajectory import Task

os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")  # OpenEnv imports Gradio, which would report home
try:
    from openenv.core.env_server import create_fastapi_app
    from openenv.core.env_server.interfaces import Environment
    from openenv.core.env_server.types import Action, EnvironmentMetadata, Observation, State
except ImportError as error:
    raise PluginError(f"An OpenEnv server needs OpenEnv ({error}).", cure="pip install 'exprag[openenv]'") from error


class TextAction(Action):
    """One action of the agent."""

    action: str = Field(description="One action, as the environment understands it.")


class TextObservation(Observation):
    """What is observed, and how the episode stands. `reward` and `done` are OpenEnv's own fields."""

    text: str = Field(description="What is observed.")
    instruction: str = Field("", description="What is to be done; told at the reset.")
    task: str = Field("", description="The task's id; told at the reset.")
    score: float = Field(0.0, description="The score so far, in [-1, 1].")
    success: bool = Field(False, description="Whether the goal is reached.")
    truncated: bool = Field(False, description="Whether the episode was broken off by its step limit.")
    valid: bool | None = Field(None, description="False: the action was not understood.")
    actions: list[str] | None = Field(None, description="The actions that are understood now, where it was asked to tell them.")


class TextState(State):
    """The episode: OpenEnv's `episode_id` and `step_count`, the task's id, and the score."""

    task: str = ""
    score: float = 0.0
    success: bool = False


class TextServerEnvironment(Environment):
    """A text environment in OpenEnv's shape, with its task provider: splits, tasks, and `reset(split=…, index=…)`.

    An environment that breaks raises EnvError, which the server answers as an error; the session goes on with its next reset.
    """

    SUPPORTS_CONCURRENT_SESSIONS = True

    def __init__(self, episodes: Episodes, admissible_actions: bool = False) -> None:
        super().__init__()
        self._episodes, self._with_actions = episodes, admissible_actions
        self._state = TextState()

    def reset(
        self,
        seed: int | None = None,
        episode_id: str | None = None,
        task: str | None = None,
        split: str | None = None,
        index: int | None = None,
        **others: Any,
    ) -> TextObservation:
        """Start an episode: of `task`, of number `index` of a `split`, or of one that `seed` draws."""
        record: Task | str | None = task
        if record is None and index is not None:
            record = self._record(split or self._episodes.split, index)
        elif record is None and split not in (None, self._episodes.split):
            raise ConfigError(f"The server draws from split {self._episodes.split!r}.", cure="Name a task of another by index.")
        outcome = self._episodes.start(seed=seed, task=record)
        current = self._episodes.task
        self._state = TextState(episode_id=episode_id, step_count=0, task=current.id, score=outcome.score)
        return self._observation(outcome, instruction=current.instruction, task=current.id)

    def step(self, action: TextAction, timeout_s: float | None = None, **others: Any) -> TextObservation:
        outcome = self._episodes.play(action.action)
        self._state = TextState(
            episode_id=self._state.episode_id,
            step_count=len(self._episodes.steps),
            task=self._state.task,
            score=outcome.score,
            success=outcome.success,
        )
        return self._observation(outcome)

    @property
    def state(self) -> TextState:
        return self._state

    def get_metadata(self) -> EnvironmentMetadata:
        environment = self._episodes.environment
        return EnvironmentMetadata(
            name=environment.name,
            description="Actions: " + "; ".join(environment.action_templates),
            version=calls.fingerprint(environment),
        )

    def list_splits(self) -> list[str]:
        return list(self._episodes.environment.splits)

    def list_tasks(self, split: str) -> list[dict[str, Any]]:
        return [_spec(task, index) for index, task in enumerate(self._episodes.tasks(split))]

    def num_tasks(self, split: str) -> int:
        return len(self._episodes.tasks(split))

    def get_task(self, split: str, index: int) -> dict[str, Any]:
        return _spec(self._record(split, index), index)

    def get_task_range(self, split: str, start: int | None = None, stop: int | None = None) -> list[dict[str, Any]]:
        return self.list_tasks(split)[start:stop]

    def close(self) -> None:
        self._episodes.close()

    def _record(self, split: str, index: int) -> Task:
        tasks = self._episodes.tasks(split)
        if not 0 <= index < len(tasks):
            raise IndexError(f"Split {split!r} has tasks 0 to {len(tasks) - 1}; not {index}.")
        return tasks[index]

    def _observation(self, outcome: calls.Outcome, **more: str) -> TextObservation:
        actions = calls.admissible_actions(self._episodes.environment) if self._with_actions else None
        return TextObservation(
            text=outcome.observation,
            reward=outcome.reward,
            done=outcome.terminated or outcome.truncated,
            score=outcome.score,
            success=outcome.success,
            truncated=outcome.truncated,
            valid=outcome.valid,
            actions=actions,
            **more,
        )


def _spec(task: Task, index: int) -> dict[str, Any]:
    return {"id": task.id, "index": index, "type": task.type, "instruction": task.instruction}


def environment_factory(
    environment: str | Callable[[], TextEnvironment],
    *,
    options: Mapping[str, Any] | None = None,
    split: str = "",
    types: Collection[str] | None = None,
    max_steps: int | None = None,
    admissible_actions: bool = False,
) -> Callable[[], TextServerEnvironment]:
    """What OpenEnv's servers call for each session. `environment`: a name, an import path, or a callable that makes one."""

    def make() -> TextServerEnvironment:
        inner = environment if isinstance(environment, str) else environment()
        return TextServerEnvironment(
            Episodes(inner, options=options, split=split, types=types, max_steps=max_steps), admissible_actions
        )

    make.__name__ = environment.rpartition(":")[2] if isinstance(environment, str) else "environment"  # in the routes of tasks
    return make


def application(environment: str | Callable[[], TextEnvironment], *, sessions: int = 8, **options: Any) -> Any:
    """The server as an ASGI application, for any ASGI server; at most `sessions` connections at a time. `options` are those of
    `environment_factory`. Raises what is wrong with them at once."""
    make = environment_factory(environment, **options)
    probe = make()
    try:
        probe.num_tasks(probe._episodes.split)
    except EnvError as error:
        raise EnvError(f"The environment cannot be served: {error.message}", cure=error.cure) from error
    finally:
        probe.close()
    return create_fastapi_app(make, TextAction, TextObservation, max_concurrent_envs=sessions)
