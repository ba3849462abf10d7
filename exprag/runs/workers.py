"""Episodes in parallel: one spawned process per worker, each with its own environment, none able to stop the others.

A worker that dies (out of memory, a crash in a native library) costs its episode one retry, then the episode is recorded
with that error. One that hangs is killed at the time limit of a step or of an episode, which is recorded at once. Workers are
replaced every `RECYCLE` episodes, which bounds what simulators leak, and die with their parent.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Generator
from pathlib import Path
from queue import Empty, Queue, SimpleQueue

from exprag.errors import ExpragError
from exprag.runs.config import RunConfig
from exprag.runs.player import make_player
from exprag.runs.worker_process import WorkerProcess, failed, play
from exprag.trajectory import Task, Trajectory

RECYCLE = 200
RETRIES = 1
_POLL_SECONDS = 0.1


class _Stopped(Exception):
    """The run is to stop: what is being played is lost."""


class _Worker:
    """One process after another, in a thread of the parent that hands it tasks."""

    def __init__(self, config: RunConfig, folder: Path | None, todo: Queue[Task], stop: threading.Event) -> None:
        self._config, self._folder, self._todo, self._stop = config, folder, todo, stop
        self._process: WorkerProcess | None = None

    def run(self, results: SimpleQueue[Trajectory | BaseException | None]) -> None:
        """Play tasks until there are none, putting each trajectory, or an error that ends the run, and None at the end."""
        try:
            while not self._stop.is_set():
                results.put(self._play(self._todo.get_nowait()))
        except (Empty, _Stopped):
            pass
        except BaseException as error:  # noqa: BLE001 - handed to the caller's thread, which raises it
            results.put(error)
        finally:
            self.close()
            results.put(None)

    def close(self) -> None:
        """End the process; from any thread."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()

    def _play(self, task: Task) -> Trajectory:
        """Raises ExpragError where the worker cannot be set up; a dead process is retried, then recorded."""
        for _ in range(RETRIES + 1):
            try:
                process = self._ready()
                process.send(task)
                return self._wait(process, task)
            except EOFError:
                self.close()
                if self._stop.is_set():
                    raise _Stopped from None
        message = f"The worker process died {RETRIES + 1} times in this episode (killed, or out of memory)."
        return failed(self._config, task, message)

    def _ready(self) -> WorkerProcess:
        """The worker's process, made or replaced as needed."""
        if self._process is not None and self._process.played < RECYCLE:
            return self._process
        self.close()
        process = self._process = WorkerProcess(self._config, self._folder)
        while (answer := process.receive(_POLL_SECONDS)) is ...:
            if self._stop.is_set():
                raise _Stopped
        if isinstance(answer, ExpragError):
            raise answer
        return process

    def _wait(self, process: WorkerProcess, task: Task) -> Trajectory:
        """The trajectory of a task that was sent, or the record that it took too long."""
        config, started = self._config, time.monotonic()
        while (answer := process.receive(_POLL_SECONDS)) is ...:
            if self._stop.is_set():
                raise _Stopped
            present, began = time.monotonic(), process.clock.value
            if config.step_timeout is not None and began and present - began > config.step_timeout:
                limit = f"A call of the environment took longer than {config.step_timeout:g} s (step_timeout)"
            elif config.episode_timeout is not None and present - started > config.episode_timeout:
                limit = f"The episode took longer than {config.episode_timeout:g} s (episode_timeout)"
            else:
                continue
            self.close()
            return failed(config, task, f"{limit}: its worker was ended.")
        process.played += 1
        return Trajectory.from_json(answer)


def play_all(config: RunConfig, tasks: list[Task], folder: Path | None = None) -> Generator[Trajectory]:
    """Trajectories as they finish. Workers log to the run's `folder`.

    Closing the iterator (or Ctrl-C) stops the workers; episodes in flight are lost. Without workers the tasks are played in this
    process, where no time limit can be held.
    """
    if not tasks:
        return
    if config.workers == 0:
        player = make_player(config)
        try:
            for task in tasks:
                yield play(player, config, task)
        finally:
            player.close()
        return
    todo: Queue[Task] = Queue()
    for task in tasks:
        todo.put(task)
    results: SimpleQueue[Trajectory | BaseException | None] = SimpleQueue()
    stop = threading.Event()
    workers = [_Worker(config, folder, todo, stop) for _ in range(min(config.workers, len(tasks)))]
    threads = [threading.Thread(target=worker.run, args=(results,), daemon=True) for worker in workers]
    for thread in threads:
        thread.start()
    try:
        running = len(threads)
        while running:
            result = results.get()
            if result is None:
                running -= 1
            elif isinstance(result, BaseException):
                raise result
            else:
                yield result
    finally:
        stop.set()
        for thread in threads:
            thread.join()
