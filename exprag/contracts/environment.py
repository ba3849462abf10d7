"""The text environment contract: Gymnasium's shape with strings in and out, plus what experience needs.

Subclass `TextEnvironment`; four members are enough (`name`, `tasks`, `reset`, `step`). Construction must be cheap and start
nothing: a simulator, a JVM or a data folder is touched at the first `tasks` or `reset`. An environment must be
deterministic: the same task, seed and actions give the same observations, because episodes are restored by replay.
"""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from exprag.errors import EnvError, ExpragError, closest
from exprag.trajectory import Task

Info = dict[str, Any]


class TextEnvironment(ABC):
    """One live text environment; it plays one episode at a time and is reused for the next.

    Class attributes describe it:
        name              the id it is registered under; also `Task.environment`
        splits            names accepted by `tasks`
        action_templates  the global forms of an action, for the prompt, slots in braces: "go to {receptacle}"
        experts           names accepted by `expert`, the default first; empty if it has none
    """

    name: str = ""
    splits: tuple[str, ...] = ("train", "test")
    action_templates: tuple[str, ...] = ()
    experts: tuple[str, ...] = ()

    @abstractmethod
    def tasks(self, split: str, types: Collection[str] | None = None) -> Iterator[Task]:
        """Tasks of a split in a fixed order, of the given types only. Lazy: listing starts no simulator if it can.

        `instruction` may still be empty where only a reset can tell it. Raises ConfigError for an unknown split or type.
        """

    @abstractmethod
    def reset(self, *, seed: int | None = None, options: Mapping[str, Any] | None = None) -> tuple[str, Info]:
        """Start `options["task"]` (a Task, its dict, or its id); returns the first observation and info.

        info["task"] is the Task with its instruction filled in. Raises EnvError where the task or its data is missing.
        """

    @abstractmethod
    def step(self, action: str) -> tuple[str, float, bool, bool, Info]:
        """Gymnasium's five: observation, reward, terminated, truncated, info. Any string is a legal action.

        info["score"]: score so far in [-1, 1]; info["success"]: goal reached; info["valid"] (optional): False where the
        action was not understood. Never raises for what an agent says; EnvError where the simulator died.
        """

    def admissible_actions(self) -> list[str] | None:
        """The actions that the present state understands, or None where the environment cannot tell."""
        return None

    def expert(self, name: str | None = None) -> Iterator[str]:
        """After `reset`: an iterator of actions, each asked for after the one before was played. It ends when it is done
        or gives up."""
        raise EnvError(f"Environment {self.name!r} has no expert.")

    def max_steps(self, task: Task) -> int:
        """The usual step limit of a task."""
        return 50

    def succeeded(self, score: float) -> bool:
        """Whether a final score counts as success (the threshold is the environment's own)."""
        return score >= 1.0

    def fingerprint(self) -> str:
        """What stored trajectories depend on: package version and action grammar. See `make_fingerprint`."""
        return make_fingerprint(self.name, "0", self.action_templates)

    def task(self, task: Task | Mapping[str, Any] | str) -> Task:
        """The Task of an id (or of a Task, or its dict). Raises EnvError naming near ids."""
        if isinstance(task, Task):
            found = task
        elif isinstance(task, Mapping):
            if set(task) <= {"environment", "id"} and "id" in task:
                return self.task(str(task["id"]))
            found = Task.from_dict(dict(task))
        else:
            ids = []
            for split in self.splits:
                for candidate in self.tasks(split):
                    if candidate.id == task:
                        return candidate
                    ids.append(candidate.id)
            raise EnvError(f"Environment {self.name!r} has no task {task!r}.", cure=closest(task, ids))
        if found.environment != self.name:
            raise EnvError(f"Task {found.key!r} belongs to environment {found.environment!r}, not {self.name!r}.")
        return found

    def close(self) -> None:
        """Give back processes and files. A closed environment may be reset again. Idempotent."""

    def __enter__(self) -> TextEnvironment:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


@contextmanager
def answering(environment: TextEnvironment, doing: str) -> Iterator[None]:
    """Whatever an environment raises inside is an EnvError: its faults are data to a run, whoever wrote it."""
    try:
        yield
    except ExpragError:
        raise
    except Exception as error:
        raise EnvError(
            f"Environment {environment.name!r} broke in {doing}: {type(error).__name__}: {error}.",
            cure=f"Report it to its author; `exprag validate env {environment.name}` may show more.",
        ) from error


def make_fingerprint(name: str, version: str, grammar: Iterable[str]) -> str:
    """`name@version+hash`: the hash is over the action grammar, order ignored. Equal fingerprints mean that an action
    stored then is understood now."""
    digest = hashlib.sha256("\n".join(sorted(grammar)).encode()).hexdigest()[:8]
    return f"{name}@{version}+{digest}"
