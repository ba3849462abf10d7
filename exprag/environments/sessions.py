"""Live environments by episode, restored by replay.

A live environment cannot be checkpointed, but it is deterministic: an episode is its task, its seed and its actions. The
caller keeps those (in a graph's state, say) and asks for the next step; a session that is not at the asked-for point is
rebuilt by replaying the actions, and the observations on the way must be those that were recorded.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from exprag.contracts.environment import Info, TextEnvironment, answering
from exprag.errors import EnvError
from exprag.trajectory import Task


@dataclass(frozen=True)
class Outcome:
    """What a reset or a step led to. `reward` is 0 after a reset; `score` is in [-1, 1]."""

    observation: str
    reward: float = 0.0
    terminated: bool = False
    truncated: bool = False
    score: float = 0.0
    success: bool = False
    valid: bool | None = None
    task: Task | None = None


@dataclass
class _Session:
    environment: TextEnvironment
    lock: threading.Lock = field(default_factory=threading.Lock)
    task_key: str = ""
    seed: int | None = None
    actions: list[str] = field(default_factory=list)
    last: Outcome = field(default_factory=lambda: Outcome(""))

    def reset(self, task: Task, seed: int | None) -> Outcome:
        self.task_key = ""  # not at any known point until the reset went through
        with answering(self.environment, "reset"):
            observation, info = self.environment.reset(seed=seed, options={"task": task})
            resolved = Task.from_dict(info.get("task", task))
            self.last = Outcome(observation, score=float(info.get("score", 0.0)), task=resolved)
        self.task_key, self.seed, self.actions = task.key, seed, []
        return self.last

    def step(self, action: str) -> Outcome:
        key, self.task_key = self.task_key, ""
        with answering(self.environment, "step"):
            observation, reward, terminated, truncated, info = self.environment.step(action)
            self.last = _outcome(observation, reward, terminated, truncated, info)
        self.task_key = key
        self.actions.append(action)
        return self.last

    def replay(self, task: Task, seed: int | None, actions: Sequence[str], observations: Sequence[str]) -> None:
        """Bring the environment to where `actions` lead. `observations` are what was seen before each and now."""
        seen = self.reset(task, seed).observation
        for number, action in enumerate([*actions, None]):
            if number < len(observations) and seen != observations[number]:
                raise EnvError(
                    f"Replaying {task.key} does not agree with the record at step {number}: it was "
                    f"{observations[number][:120]!r}, now it is {seen[:120]!r}.",
                    cure="The environment's version, data or options differ from those of the recording.",
                )
            if action is not None:
                seen = self.step(action).observation


def _outcome(observation: str, reward: float, terminated: bool, truncated: bool, info: Info) -> Outcome:
    return Outcome(
        observation,
        float(reward),
        bool(terminated),
        bool(truncated),
        float(info.get("score", 0.0)),
        bool(info.get("success", False)),
        info.get("valid"),
    )


class Sessions:
    """Up to `capacity` live environments made by `factory`, one per episode, reused when an episode is over.

    An episode that was evicted is rebuilt when it is asked for again: capacity costs time, never correctness. Safe to use
    from several threads.
    """

    def __init__(self, factory: Callable[[], TextEnvironment], capacity: int = 8) -> None:
        self._factory = factory
        self._capacity = max(1, capacity)
        self._live: OrderedDict[str, _Session] = OrderedDict()
        self._idle: list[_Session] = []
        self._lock = threading.Lock()
        self.describe = factory()  # constructed, never reset: tasks, templates, limits, fingerprint

    def reset(self, episode: str, task: Task, seed: int | None = None) -> Outcome:
        """Start the task. The outcome's `task` has its instruction filled in."""
        session = self._take(episode)
        with session.lock:
            return session.reset(task, seed)

    def step(
        self,
        episode: str,
        task: Task,
        action: str,
        *,
        actions: Sequence[str],
        observations: Sequence[str] = (),
        seed: int | None = None,
    ) -> Outcome:
        """Play `action` after `actions`; replays those first unless the live session stands there already.

        `observations`: what was seen before each action and before this one, for the comparison. Raises EnvError when a
        replay disagrees or the environment died.
        """
        session = self._take(episode)
        with session.lock:
            if (session.task_key, session.seed, session.actions) != (task.key, seed, list(actions)):
                session.replay(task, seed, actions, observations)
            return session.step(action)

    def release(self, episode: str) -> None:
        """The episode is over: its environment is free for the next."""
        with self._lock:
            session = self._live.pop(episode, None)
            if session is not None:
                self._idle.append(session)

    def close(self) -> None:
        """Close every environment."""
        with self._lock:
            sessions = [*self._live.values(), *self._idle]
            self._live.clear()
            self._idle.clear()
        for session in sessions:
            with session.lock:
                session.environment.close()

    def _take(self, episode: str) -> _Session:
        with self._lock:
            session = self._live.get(episode)
            if session is None:
                session = self._idle.pop() if self._idle else self._evict() or _Session(self._factory())
                self._live[episode] = session
            self._live.move_to_end(episode)
            return session

    def _evict(self) -> _Session | None:
        if len(self._live) < self._capacity:
            return None
        for episode, session in self._live.items():
            if not session.lock.locked():
                return self._live.pop(episode)
        return None  # all busy: one more for now
