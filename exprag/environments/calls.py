"""Calls of an environment, checked: what it raises or answers wrongly is an EnvError, so that a bad episode is data.

The error names the environment, the call and what was expected. Every part of exprag that plays episodes calls environments
through here.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from exprag.contracts.environment import TextEnvironment, answering
from exprag.errors import EnvError, RecordError
from exprag.faults import advise, name_component
from exprag.text import pair_surrogates
from exprag.trajectory import Task

log = logging.getLogger("exprag.environments")

_END = object()


@dataclass(frozen=True)
class Outcome:
    """What a reset or a step led to. `reward` is 0 after a reset; `score` is in [-1, 1]; `task` is there after a reset."""

    observation: str
    reward: float = 0.0
    terminated: bool = False
    truncated: bool = False
    score: float = 0.0
    success: bool = False
    valid: bool | None = None
    task: Task | None = None


def reset(environment: TextEnvironment, task: Task, seed: int | None = None) -> Outcome:
    """Start the task. The outcome's `task` has its instruction filled in, where the environment gives one."""
    with answering(environment, "reset"):
        answer = _Answer(environment, "reset", environment.reset(seed=seed, options={"task": task}))
        observation, info = answer.parts("(observation, info)", 2)
        info = answer.info(info)
        return Outcome(
            answer.text(observation),
            score=answer.number('info["score"]', info.get("score", 0.0)),
            task=answer.task(info, task),
        )


def step(environment: TextEnvironment, action: str, previous: Outcome) -> Outcome:
    """Play an action. A score or success that the environment leaves out is as it was after the `previous` call."""
    with answering(environment, "step"):
        answer = _Answer(environment, "step", environment.step(action))
        observation, reward, terminated, truncated, info = answer.parts("(observation, reward, terminated, truncated, info)", 5)
        info = answer.info(info)
        valid = info.get("valid")
        return Outcome(
            answer.text(observation),
            answer.number("the reward", reward),
            answer.flag("terminated", terminated),
            answer.flag("truncated", truncated),
            answer.number('info["score"]', info.get("score", previous.score)),
            answer.flag('info["success"]', info.get("success", previous.success)),
            None if valid is None else answer.flag('info["valid"]', valid),
        )


def actions_of(environment: TextEnvironment, policy: Callable[[], Iterable[str]], call: str = "its expert") -> Iterator[str]:
    """The actions of an expert or another policy, each drawn when it is needed."""
    with answering(environment, call):
        actions = iter(policy())
    while True:
        with answering(environment, call):
            action = next(actions, _END)
            if action is not _END and not isinstance(action, str):
                raise _broken(environment, call, f"every action must be a string, not {_excerpt(action)}")
        if action is _END:
            return
        yield action  # type: ignore[misc]


def find_task(environment: TextEnvironment, task: Task | Mapping[str, Any] | str) -> Task:
    """The Task of an id, of a Task or of its dict."""
    with answering(environment, "task"):
        record = environment.task(task)
        if not isinstance(record, Task):
            raise _broken(environment, "task", f"it must return a Task, not {_excerpt(record)}")
        return record


def fingerprint(environment: TextEnvironment) -> str:
    """The environment's fingerprint, a string."""
    with answering(environment, "fingerprint"):
        text = environment.fingerprint()
        if not isinstance(text, str):
            raise _broken(environment, "fingerprint", f"it must return a string, not {_excerpt(text)}")
        return text


def max_steps(environment: TextEnvironment, task: Task) -> int:
    """The usual step limit of a task, at least 1."""
    with answering(environment, "max_steps"):
        limit = environment.max_steps(task)
        if isinstance(limit, bool) or not isinstance(limit, int) or limit < 1:
            raise _broken(environment, "max_steps", f"it must return a whole number from 1 on, not {_excerpt(limit)}")
        return limit


def admissible_actions(environment: TextEnvironment) -> list[str] | None:
    """The actions that the present state understands, or None where the environment cannot tell."""
    with answering(environment, "admissible_actions"):
        actions = environment.admissible_actions()
        if actions is None:
            return None
        texts = isinstance(actions, list | tuple) and all(isinstance(action, str) for action in actions)
        if not texts:
            raise _broken(environment, "admissible_actions", f"it must return a list of strings or None, not {_excerpt(actions)}")
        return list(actions)


def close(environment: TextEnvironment) -> None:
    """Close the environment. What it raises is logged and goes no further: by then its episodes are played."""
    try:
        with answering(environment, "close"):
            environment.close()
    except EnvError as error:
        log.warning("%s", error)


@dataclass
class _Answer:
    """What a reset or a step returned, and the checks of its parts. To be used inside `answering`."""

    environment: TextEnvironment
    call: str
    value: Any

    def parts(self, shape: str, count: int) -> Any:
        if not isinstance(self.value, tuple | list) or len(self.value) != count:
            raise self.wrong(f"it must return {shape}, not {_excerpt(self.value)}")
        return self.value

    def info(self, value: Any) -> Mapping[str, Any]:
        if not isinstance(value, Mapping):
            raise self.wrong(f"the info must be a dict, not {_excerpt(value)}")
        return value

    def text(self, value: Any) -> str:
        if not isinstance(value, str):
            raise self.wrong(f"the observation must be a string, not {_excerpt(value)}")
        # As a Step will hold it, so that a replay compares equal; a plain str, whatever subclass the environment uses.
        return pair_surrogates(str(value))

    def number(self, name: str, value: Any) -> float:
        """A finite number; NumPy's numbers count as numbers, text that spells one does not."""
        try:
            if isinstance(value, str | bytes):
                raise TypeError
            number = float(value)
        except (TypeError, ValueError, OverflowError):
            number = math.nan
        if not math.isfinite(number):
            raise self.wrong(f"{name} must be a finite number, not {_excerpt(value)}")
        return number

    def flag(self, name: str, value: Any) -> bool:
        if isinstance(value, str | bytes):
            raise self.wrong(f"{name} must be a bool, not {_excerpt(value)}")
        return bool(value)

    def task(self, info: Mapping[str, Any], task: Task) -> Task:
        if "task" not in info:
            return task
        try:
            resolved = Task.from_dict(info["task"])
        except RecordError as error:
            raise self.wrong(f'info["task"] must be the Task. {error.message}') from error
        if resolved.key != task.key:
            raise self.wrong(f'info["task"] must be the task that was started, {task.key!r}, not {resolved.key!r}')
        return resolved

    def wrong(self, reason: str) -> EnvError:
        return _broken(self.environment, self.call, reason)


def _broken(environment: TextEnvironment, call: str, reason: str) -> EnvError:
    end = "" if reason.endswith((".", "!", "?", "…")) else "."
    what = f"The {name_component('environment', environment)} broke in {call}"
    return EnvError(f"{what}: {reason}{end}", cure=advise("environment", environment))


def _excerpt(value: Any) -> str:
    """A value in a message: its type, and its beginning."""
    text = repr(value)
    return f"{text if len(text) <= 60 else text[:59] + '…'} ({type(value).__name__})"
