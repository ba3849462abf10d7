"""The parent's end of worker processes: given tasks, and watched by the clock."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from exprag.runs.child_process import ChildProcess, Keeper
from exprag.runs.config import RunConfig
from exprag.trajectory import Task

WORDS = ("ready", "call", "episode", "stop")
"""What a worker says (`exprag.runs.worker`)."""
Event = tuple["WorkerProcess", str, Any]
"""A worker, what it says and its JSON; "gone" where its process ended."""
_OWN_SECONDS = 60.0  # more than its limit: then an episode that was to end there by itself counts as one that hangs


@dataclass
class _Episode:
    task: Task
    began: float


class WorkerProcess(ChildProcess):
    """One worker process, which plays `config.concurrency` episodes at once. What it says is put into `events`.

    A worker of one episode is ended at the time limit of a call or of the episode. One of several limits the calls of its
    environments itself (`exprag.runs.environment_process`); here only an episode is seen that goes on in spite of that: it is
    given up, and its thread left alone.
    """

    def __init__(self, config: RunConfig, folder: Path | None, events: SimpleQueue[Event], keeper: Keeper) -> None:
        self._config, self._events = config, events
        self._room = config.concurrency or 1
        self._episodes: dict[str, _Episode] = {}
        self._given_up: set[str] = set()
        self.ready = False
        self.played = 0
        self._call_began = 0.0
        self._call = ""
        setup = {"config": config.model_dump(mode="json"), "folder": folder and str(folder)}
        super().__init__(WORDS, "player", setup, keeper)
        self.limit_memory(config.worker_memory if self._room == 1 else None)

    @property
    def tasks(self) -> list[Task]:
        """What it plays."""
        return [episode.task for episode in self._episodes.values()]

    @property
    def room(self) -> int:
        """How many more episodes it takes."""
        return self._room - len(self._episodes) - len(self._given_up)

    def play(self, task: Task) -> None:
        """Start a task."""
        self._episodes[task.key] = _Episode(task, time.monotonic())
        self._call = ""
        self.send("play", task.to_dict())

    def receive(self, word: str, value: Any) -> None:
        self._events.put((self, word, value))

    def hear(self, word: str, value: Any) -> str | None:
        """Take note of what it said. Gives the JSON of an episode that it has played, unless that was given up before."""
        if word == "ready":
            self.ready = True
            for episode in self._episodes.values():
                episode.began = time.monotonic()
        elif word == "call":
            self._call, self._call_began = value, time.monotonic()
        elif word == "episode":
            self.played += 1
            if self._episodes.pop(value["task"], None) is not None:
                return str(value["episode"])
            self._given_up.discard(value["task"])
        return None

    def give_up(self, task: Task) -> None:
        """No longer wait for a task: its episode takes its place in the process for as long as it goes on."""
        del self._episodes[task.key]
        self._given_up.add(task.key)

    def seconds_left(self) -> float | None:
        """Until a task that it plays takes too long, or the process to be ready for its first; None where there is no limit."""
        ends = [end for episode in self._episodes.values() if (end := self._end(episode)) is not None]
        return min(ends) - time.monotonic() if ends else None

    def overdue(self) -> list[tuple[Task, str]]:
        """The tasks that have passed a limit, and which, in words."""
        moment = time.monotonic()
        late = [episode for episode in self._episodes.values() if (end := self._end(episode)) is not None and end <= moment]
        return [(episode.task, self._limit(moment)) for episode in late]

    def _end(self, episode: _Episode) -> float | None:
        config, ends = self._config, []
        if not self.ready:
            return None if config.setup_timeout is None else episode.began + config.setup_timeout
        if config.step_timeout is not None and self._call:
            ends.append(self._call_began + config.step_timeout)
        if config.episode_timeout is not None:
            ends.append(episode.began + config.episode_timeout + (_OWN_SECONDS if self._room > 1 else 0))
        return min(ends, default=None)

    def _limit(self, moment: float) -> str:
        config = self._config
        if not self.ready:
            return f"A worker was not ready for its first episode after {config.setup_timeout:g} s (setup_timeout)."
        if self._call and config.step_timeout is not None and moment - self._call_began >= config.step_timeout:
            return f"The environment's {self._call!r} took longer than {config.step_timeout:g} s (step_timeout)"
        return f"The episode took longer than {config.episode_timeout:g} s (episode_timeout)"
