"""The text environment contract: Gymnasium's shape with strings in and out, plus what experience needs.

Subclass `TextEnvironment`; four members are enough (`name`, `tasks`, `reset`, `step`). Construction must be cheap and start
nothing: a simulator, a JVM or a data folder is touched at the first `tasks` or `reset`. An environment must be
deterministic: the same task, seed and actions give the same observations, because episodes are restored by replay.

Options are the keyword arguments of the constructor. Users write them as JSON (`--set size=3`, `environment_options` in a
configuration), so each takes JSON values and has a default; a value that is not allowed is a ConfigError.
"""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Self

from exprag.errors import EnvError, boundary, closest
from exprag.faults import advise, name_component
from exprag.isolation import ctrl_c_is_apart
from exprag.trajectory import Task

Info = dict[str, Any]


class TextEnvironment(ABC):
    """One live text environment; it plays one episode at a time and is reused for the next.

    Class attributes describe it:
        name              the id it is registered under; also `Task.environment`
        splits            names accepted by `tasks`
        action_templates  the global forms of an action, for the prompt, slots in braces: "go to {receptacle}"
        experts           names accepted by `expert`, the default first; empty if it has none
        type_groups       named groups of task types ("easy", "hard"): `tasks` takes their names like those of types, and reports
                          tell results by them too
    """

    name: str = ""
    splits: tuple[str, ...] = ("train", "test")
    action_templates: tuple[str, ...] = ()
    experts: tuple[str, ...] = ()
    type_groups: Mapping[str, tuple[str, ...]] = {}

    @abstractmethod
    def tasks(self, split: str, types: Collection[str] | None = None) -> Iterator[Task]:
        """Tasks of a split in a fixed order, of the given types only. Lazy: listing starts no simulator if it can.

        `instruction` may still be empty where only a reset can tell it. Raises ConfigError for an unknown split or type.
        """

    @abstractmethod
    def reset(self, *, seed: int | None = None, options: Mapping[str, Any] | None = None) -> tuple[str, Info]:
        """Start an episode; returns the first observation and info.

        `options["task"]` says which task: a Task, its dict, or its id. Other options are the environment's own; exprag passes
        none. `seed` decides whatever is random in the episode. A run passes its own seed, the same one for every task; a replay
        passes the seed of the recorded episode; None leaves the choice to the environment, which must still be the same choice
        every time. An environment without chance ignores it.

        info["task"] is the Task with its instruction filled in; info["score"], if present, the score at the start (default 0).
        Raises EnvError where the task or its data is missing.
        """

    @abstractmethod
    def step(self, action: str) -> tuple[str, float, bool, bool, Info]:
        """Play one action: observation, reward, terminated, truncated, info, as in Gymnasium. Any string is a legal action.

        reward           what this action earned, a finite number on the environment's own scale. It is recorded and shown with
                         the step; what an episode is worth is decided by score and success
        terminated       the task is over, won or lost
        truncated        the environment broke it off; step limits belong to whoever runs the episode, so most never do
        info["score"]    the score so far, in [-1, 1]
        info["success"]  whether the goal is reached
        info["valid"]    optional: False where the action was not understood

        One action is one move: an action that asks for several moves is not understood, since each move has its own
        observation. A step after the end must not raise, nor change what the next reset starts; exprag takes none. The clean
        answer is that the episode is over: reward 0, terminated still True, valid False. Never raises for what an agent says;
        EnvError where the simulator died.
        """

    def admissible_actions(self) -> list[str] | None:
        """The actions that the present state understands, or None where the environment cannot tell."""
        return None

    def expert(self, name: str | None = None) -> Iterator[str]:
        """The actions of a scripted player, to be asked for right after `reset`.

        Each action is drawn after the one before it was played, so that the player may look at the state in between. The
        iterator ends when the task is solved or the player gives up. `name` is one of `experts`; None means the first.
        """
        raise EnvError(f"Environment {self.name!r} has no expert.")

    def max_steps(self, task: Task) -> int:
        """The usual step limit of a task, at least 1: used where the user sets none."""
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
            record = task
        elif isinstance(task, Mapping):
            if set(task) <= {"environment", "id"} and "id" in task:
                return self.task(str(task["id"]))
            record = Task.from_dict(dict(task))
        else:
            ids = []
            for split in self.splits:
                for candidate in self.tasks(split):
                    if candidate.id == task:
                        return candidate
                    ids.append(candidate.id)
            raise EnvError(f"Environment {self.name!r} has no task {task!r}.", cure=closest(task, ids))
        if record.environment != self.name:
            raise EnvError(f"Task {record.key!r} belongs to environment {record.environment!r}, not {self.name!r}.")
        return record

    def close(self) -> None:
        """Give back processes and files. A closed environment may be reset again. Idempotent."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


def answering(environment: TextEnvironment, call: str) -> AbstractContextManager[None]:
    """Call the environment inside: whatever it raises is an EnvError naming it and the call, so that the episode ends as data.

    That covers code that exits (SystemExit, GeneratorExit), and KeyboardInterrupt where it cannot be the user's Ctrl-C (see
    `exprag.isolation.ctrl_c_is_apart`).
    """
    what = f"The {name_component('environment', environment)} broke in {call}"
    guard = boundary(EnvError, what, cure=advise("environment", environment), catch=_caught())
    return guard if _watcher is None else _watched(guard, call, _watcher)


def watch_calls(watcher: Callable[[str], None] | None) -> None:
    """Have `watcher` called with the name of each call of an environment when it begins, and with "" when it is over: for who
    limits the time that it takes. None: nobody watches."""
    global _watcher
    _watcher = watcher


_watcher: Callable[[str], None] | None = None


@contextmanager
def _watched(guard: AbstractContextManager[None], call: str, watcher: Callable[[str], None]) -> Iterator[None]:
    watcher(call)
    try:
        with guard:
            yield
    finally:
        watcher("")


def _caught() -> tuple[type[BaseException], ...]:
    exits = (Exception, SystemExit, GeneratorExit)
    return (*exits, KeyboardInterrupt) if ctrl_c_is_apart() else exits


def make_fingerprint(name: str, version: str, grammar: Iterable[str]) -> str:
    """`name@version+hash`: the hash is over the action grammar, order ignored. Equal fingerprints mean that an action
    stored then is understood now."""
    digest = hashlib.sha256("\n".join(sorted(grammar)).encode()).hexdigest()[:8]
    return f"{name}@{version}+{digest}"
