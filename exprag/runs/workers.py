"""Episodes in parallel, none able to stop the others: in processes of one each, or many side by side in one process.

One by one, each worker process has its own environment and model. With a `concurrency` above 1 a process plays that many episodes
in threads, its environments in processes beside it (`exprag.runs.environment_process`): one process for local weights, else as
many as there are `workers`, see `exprag.runs.concurrency.divided`.

A worker that dies (out of memory, a crash in a native library) costs its episodes one retry, then they are recorded with that
error. One that hangs is killed at the time limit of a call or of an episode, which is recorded at once. Processes with
environments are replaced every `RECYCLE` episodes, which bounds what simulators leak, and all die with their parent.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Sequence
from pathlib import Path
from queue import Empty, SimpleQueue

from exprag.errors import RunError
from exprag.runs.child_process import LEAVING_SECONDS, Keeper, rebuilt
from exprag.runs.concurrency import divided, episodes_at_once
from exprag.runs.config import RunConfig
from exprag.runs.memory import check_measurable
from exprag.runs.player import failed, make_player, play
from exprag.runs.worker_process import Event, WorkerProcess
from exprag.trajectory import Task, Trajectory

RECYCLE = 200
RETRIES = 1
SEE_WHERE = "The model or a plugin ends it or hangs while it is made; --workers 0 makes them in this process."


def play_all(config: RunConfig, tasks: Sequence[Task], folder: Path | None = None) -> Generator[Trajectory]:
    """Trajectories as they finish. Workers log to the run's `folder`. A deque of tasks is emptied as they begin: one that the
    caller takes out of it is not played.

    Closing the iterator (or Ctrl-C) stops the workers; episodes in flight are lost. Without workers the tasks are played in this
    process, where no time limit can be held. Raises ExpragError for what would fail every episode.
    """
    if not tasks:
        return
    if config.worker_memory is not None:
        check_measurable()
    config = config.model_copy(update={"concurrency": episodes_at_once(config)})
    if config.workers == 0:
        yield from _play_here(config, tasks)
        return
    crew = Crew(config, tasks, folder)
    try:
        yield from crew.play()
        crew.leave()
    finally:
        crew.end()


def _play_here(config: RunConfig, tasks: Sequence[Task]) -> Generator[Trajectory]:
    player = make_player(config)
    queue = tasks if isinstance(tasks, deque) else deque(tasks)
    try:
        while queue:
            yield play(player, config, queue.popleft())
    finally:
        player.close()


class Crew:
    """The workers of one round of tasks, all handled by the thread that asks for trajectories."""

    def __init__(self, config: RunConfig, tasks: Sequence[Task], folder: Path | None, keeper: Keeper | None = None) -> None:
        self._players, self._config = divided(config)
        self._folder = folder
        self._together = (config.concurrency or 1) > 1
        self._tasks = tasks if isinstance(tasks, deque) else deque(tasks)
        self._deaths: dict[str, int] = {}
        self._events: SimpleQueue[Event] = SimpleQueue()
        self._workers: list[WorkerProcess] = []
        self._leaving: list[WorkerProcess] = []
        self._keeper = keeper or Keeper()

    def play(self) -> Generator[Trajectory]:
        """Trajectories as they finish."""
        for episode in self.episodes():
            yield Trajectory.from_json(episode) if isinstance(episode, str) else episode

    def episodes(self) -> Generator[str | Trajectory]:
        """The same, unread: JSON as a worker gave it, or what was recorded here in place of a worker."""
        self._spread()
        while any(worker.tasks for worker in self._workers):
            limits = [left for worker in self._workers if (left := worker.seconds_left()) is not None]
            try:
                worker, word, value = self._events.get(timeout=max(0.0, min(limits)) if limits else None)
            except Empty:
                yield from self._end_overdue()
                continue
            if word == "stop":
                raise rebuilt(value)
            episode = worker.hear(word, value)
            if word == "episode":
                self._go_on(worker)
            if episode is not None:
                yield episode
            elif word == "gone" and worker.tasks and worker in self._workers:
                yield from self._replace_dead(worker)

    def add(self, tasks: Sequence[Task]) -> None:
        """Take more tasks, between two trajectories of `play` or before it."""
        self._tasks.extend(tasks)
        self._spread()

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

    def _spread(self) -> None:
        """Give tasks to the workers that have room, and to new ones up to their number."""
        for worker in [worker for worker in self._workers if worker.room > 0]:
            self._go_on(worker)
        while self._tasks and (missing := self._players - len(self._workers)) > 0:
            self._start(-(-len(self._tasks) // missing))

    def _start(self, share: int | None = None) -> None:
        """Start a worker with the next tasks, where there are any: as many as it has room for, or its share."""
        if self._tasks:
            worker = WorkerProcess(self._config, self._folder, self._events, self._keeper)
            self._workers.append(worker)
            self._fill(worker, share)

    def _fill(self, worker: WorkerProcess, share: int | None = None) -> None:
        count = min(worker.room, len(self._tasks) if share is None else share)
        while self._tasks and count > 0:
            worker.play(self._tasks.popleft())
            count -= 1

    def _go_on(self, worker: WorkerProcess) -> None:
        """Give a worker that has played an episode the next, or a new process in its place."""
        if self._together or worker.played < RECYCLE:
            self._fill(worker)
        elif self._tasks:
            worker.leave()
            self._workers.remove(worker)
            self._leaving.append(worker)
            self._start()

    def _remove(self, worker: WorkerProcess) -> None:
        self._workers.remove(worker)
        WorkerProcess.end([worker])

    def _end_overdue(self) -> Generator[Trajectory]:
        """Kill the workers whose call or episode takes too long, and record their episodes. One that plays others beside them
        is killed when all of its episodes hang."""
        for worker, overdue in [(worker, worker.overdue()) for worker in self._workers]:
            for task, limit in overdue:
                if not worker.ready:
                    raise RunError(limit, cure=SEE_WHERE)
                worker.give_up(task)
            if overdue and worker.room == 0 and not worker.tasks:
                self._remove(worker)
                self._start()
            for task, limit in overdue:
                end = "its thread was left alone" if self._together else "its process was ended"
                yield failed(self._config, task, "environment", f"{limit}: {end}.")

    def _replace_dead(self, worker: WorkerProcess) -> Generator[Trajectory]:
        """Play its tasks again in a new process; those at which one died before are recorded."""
        self._remove(worker)
        if worker.oversized:
            yield from self._record_oversized(worker)
            return
        lost = []
        for task in reversed(worker.tasks):
            deaths = self._deaths[task.key] = self._deaths.get(task.key, 0) + 1
            if deaths <= RETRIES:
                self._tasks.appendleft(task)
            elif worker.ready:
                lost.append(task)
            else:
                raise RunError(
                    f"The worker process died {deaths} times before its first episode (killed, or out of memory).",
                    cure=SEE_WHERE,
                )
        self._start()
        for task in lost:
            message = f"The worker process died {RETRIES + 1} times in this episode (killed, or out of memory)."
            yield failed(self._config, task, "environment", message)

    def _record_oversized(self, worker: WorkerProcess) -> Generator[Trajectory]:
        """Record what it played: the same again would come to the same."""
        if not worker.ready:
            raise RunError(f"A worker was ended before its first episode. {worker.oversized}.", cure="Allow more memory.")
        self._start()
        for task in worker.tasks:
            yield failed(self._config, task, "environment", f"The worker's process was ended. {worker.oversized}.")
