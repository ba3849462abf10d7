"""Episodes in parallel: one process per worker, each with its own environment, none able to stop the others.

A worker that dies (out of memory, a crash in a native library) costs its episode one retry, then the episode is recorded
with that error. One that hangs is killed at the time limit of a call or of an episode, which is recorded at once. Workers are
replaced every `RECYCLE` episodes, which bounds what simulators leak, and die with their parent.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Generator
from pathlib import Path
from queue import Empty, SimpleQueue

from exprag.errors import RunError
from exprag.runs.config import RunConfig
from exprag.runs.player import failed, make_player, play
from exprag.runs.worker_process import LEAVING_SECONDS, Event, Keeper, WorkerProcess, rebuilt
from exprag.trajectory import Task, Trajectory

RECYCLE = 200
RETRIES = 1
SEE_WHERE = "The model or a plugin ends it or hangs while it is made; --workers 0 makes them in this process."


def play_all(config: RunConfig, tasks: list[Task], folder: Path | None = None) -> Generator[Trajectory]:
    """Trajectories as they finish. Workers log to the run's `folder`.

    Closing the iterator (or Ctrl-C) stops the workers; episodes in flight are lost. Without workers the tasks are played in this
    process, where no time limit can be held. Raises ExpragError for what would fail every episode.
    """
    if not tasks:
        return
    if config.workers == 0:
        yield from _play_here(config, tasks)
        return
    crew = _Crew(config, tasks, folder)
    try:
        yield from crew.play()
        crew.leave()
    finally:
        crew.end()


def _play_here(config: RunConfig, tasks: list[Task]) -> Generator[Trajectory]:
    player = make_player(config)
    try:
        for task in tasks:
            yield play(player, config, task)
    finally:
        player.close()


class _Crew:
    """The workers of one round of tasks, all handled by the thread that asks for trajectories."""

    def __init__(self, config: RunConfig, tasks: list[Task], folder: Path | None) -> None:
        self._config, self._folder = config, folder
        self._tasks = deque(tasks)
        self._deaths: dict[str, int] = {}
        self._events: SimpleQueue[Event] = SimpleQueue()
        self._workers: list[WorkerProcess] = []
        self._leaving: list[WorkerProcess] = []
        self._keeper = Keeper()

    def play(self) -> Generator[Trajectory]:
        for _ in range(min(self._config.workers, len(self._tasks))):
            self._start(self._tasks.popleft())
        while any(worker.task for worker in self._workers):
            limits = [left for worker in self._workers if (left := worker.seconds_left()) is not None]
            try:
                worker, word, value = self._events.get(timeout=max(0.0, min(limits)) if limits else None)
            except Empty:
                yield from self._end_overdue()
                continue
            task = worker.task
            if word == "stop":
                raise rebuilt(value)
            worker.hear(word, value)
            if word == "episode":
                self._go_on(worker)
                yield Trajectory.from_json(value)
            elif word == "gone" and task is not None and worker in self._workers:
                yield from self._replace_dead(worker, task)

    def leave(self) -> None:
        """Let the workers close their environments and end."""
        for worker in self._workers:
            worker.leave()
        WorkerProcess.end([*self._workers, *self._leaving], LEAVING_SECONDS, ask=False)

    def end(self) -> None:
        """End what still runs, whatever it ignores."""
        try:
            WorkerProcess.end([*self._workers, *self._leaving])
        finally:
            self._keeper.close()

    def _start(self, task: Task) -> None:
        worker = WorkerProcess(self._config, self._folder, self._events, self._keeper)
        self._workers.append(worker)
        worker.play(task)

    def _go_on(self, worker: WorkerProcess) -> None:
        """Give a worker that has played an episode the next, or a new process in its place."""
        if not self._tasks:
            return
        if worker.played < RECYCLE:
            worker.play(self._tasks.popleft())
            return
        worker.leave()
        self._workers.remove(worker)
        self._leaving.append(worker)
        self._start(self._tasks.popleft())

    def _remove(self, worker: WorkerProcess) -> None:
        self._workers.remove(worker)
        WorkerProcess.end([worker])

    def _end_overdue(self) -> Generator[Trajectory]:
        """Kill the workers whose call or episode takes too long, and record their episodes."""
        for worker, limit, task in [(worker, worker.overdue(), worker.task) for worker in self._workers]:
            if limit and task is not None:
                if not worker.ready:
                    raise RunError(limit, cure=SEE_WHERE)
                self._remove(worker)
                if self._tasks:
                    self._start(self._tasks.popleft())
                yield failed(self._config, task, "environment", f"{limit}: its process was ended.")

    def _replace_dead(self, worker: WorkerProcess, task: Task) -> Generator[Trajectory]:
        """Play the task again in a new process; where that dies too, record it."""
        self._remove(worker)
        deaths = self._deaths[task.key] = self._deaths.get(task.key, 0) + 1
        if deaths <= RETRIES:
            self._start(task)
            return
        if not worker.ready:
            raise RunError(
                f"The worker process died {deaths} times before its first episode (killed, or out of memory).",
                cure=SEE_WHERE,
            )
        if self._tasks:
            self._start(self._tasks.popleft())
        message = f"The worker process died {deaths} times in this episode (killed, or out of memory)."
        yield failed(self._config, task, "environment", message)
