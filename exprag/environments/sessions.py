"""Live environments by episode, restored by replay.

A live environment cannot be checkpointed, but it is deterministic: an episode is its task, its seed and its actions. The
caller keeps those (in a graph's state, say) and asks for the next step; a session that is not at the asked-for point is
rebuilt by replaying the actions, and the observations on the way must be those that were recorded.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from exprag.contracts.environment import TextEnvironment, answering
from exprag.environments import calls
from exprag.environments.calls import Outcome
from exprag.errors import EnvError
from exprag.trajectory import Task


@dataclass
class _Session:
    environment: TextEnvironment
    lock: threading.Lock = field(default_factory=threading.Lock)
    task_key: str = ""
    seed: int | None = None
    actions: list[str] = field(default_factory=list)
    last: Outcome = field(default_factory=lambda: Outcome(""))
    broken: bool = False  # the last call raised: what state the environment is in, nobody knows

    def reset(self, task: Task, seed: int | None) -> Outcome:
        self.task_key, self.broken = "", True  # not at any known point until the reset went through
        self.last = calls.reset(self.environment, task, seed)
        self.task_key, self.seed, self.actions, self.broken = task.key, seed, [], False
        return self.last

    def step(self, action: str) -> Outcome:
        key, self.task_key, self.broken = self.task_key, "", True
        self.last = calls.step(self.environment, action, self.last)
        self.task_key, self.broken = key, False
        self.actions.append(action)
        return self.last

    def replay(self, task: Task, seed: int | None, actions: Sequence[str], observations: Sequence[str]) -> None:
        """Bring the environment to where `actions` lead. `observations` are what was seen before each and now."""
        observation = self.reset(task, seed).observation
        for number, action in enumerate([*actions, None]):
            if number < len(observations) and observation != observations[number]:
                raise EnvError(
                    f"Replaying {task.key} does not agree with the record at step {number}: "
                    f"{first_difference(observations[number], observation)}.",
                    cure="The environment's version, data or options differ from those of the recording.",
                )
            if action is not None:
                observation = self.step(action).observation


def first_difference(recorded: str, replayed: str, before: int = 20, after: int = 60) -> str:
    """Where two texts part: the place, and what each has there with a few characters of context."""
    length = min(len(recorded), len(replayed))
    place = next((at for at in range(length) if recorded[at] != replayed[at]), length)

    def excerpt(text: str) -> str:
        lead, rest = text[max(0, place - before) : place], text[place : place + after]
        return ("…" if place > before else "") + repr(lead + rest) + ("…" if len(text) > place + after else "")

    return f"from character {place} on it was {excerpt(recorded)}, now it is {excerpt(replayed)}"


class Sessions:
    """Up to `capacity` live environments made by `factory`, one per episode, reused when an episode is over.

    An episode that was evicted is rebuilt when it is asked for again: capacity costs time, never correctness. Safe to use
    from several threads.
    """

    def __init__(self, factory: Callable[[], TextEnvironment], capacity: int = 8) -> None:
        self._factory = factory
        self._capacity = max(1, capacity)
        # Not an LRU of cachetools: a session that is playing must not be evicted, whatever the capacity.
        self._live: OrderedDict[str, _Session] = OrderedDict()
        self._idle: list[_Session] = []
        self._lock = threading.Lock()
        self.describe = factory()  # constructed, never reset: tasks, templates, limits, fingerprint

    def task(self, task: Task | Mapping[str, Any] | str) -> Task:
        """The Task of an id, of a Task or of its dict. Raises EnvError where there is none."""
        return calls.find_task(self.describe, task)

    def max_steps(self, task: Task) -> int:
        """The usual step limit of a task. Raises EnvError where the environment does not give one."""
        return calls.max_steps(self.describe, task)

    def fingerprint(self) -> str:
        """The environment's fingerprint. Raises EnvError where it does not give one."""
        return calls.fingerprint(self.describe)

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
        """The episode is over: its environment is free for the next. One that broke is closed, and the next is a new one."""
        with self._lock:
            session = self._live.pop(episode, None)
            if session is not None and not session.broken:
                self._idle.append(session)
        if session is not None and session.broken:
            with session.lock:
                calls.close(session.environment)

    def close(self) -> None:
        """Close every environment. One that cannot be closed is logged and stops no other."""
        with self._lock:
            sessions = [*self._live.values(), *self._idle]
            self._live.clear()
            self._idle.clear()
        for session in sessions:
            with session.lock:
                calls.close(session.environment)

    def _take(self, episode: str) -> _Session:
        with self._lock:
            session = self._live.get(episode)
            if session is None:
                session = self._idle.pop() if self._idle else self._evict() or _Session(self._make())
                self._live[episode] = session
            self._live.move_to_end(episode)
            return session

    def _make(self) -> TextEnvironment:
        with answering(self.describe, "its constructor"):
            return self._factory()

    def _evict(self) -> _Session | None:
        if len(self._live) < self._capacity:
            return None
        for episode, session in self._live.items():
            if not session.lock.locked():
                return self._live.pop(episode)
        return None  # all busy: one more for now
