"""Episodes in parallel: one spawned process per worker, each with its own environment, none able to stop the others.

A worker that dies (out of memory, a crash in a native library) costs its episode one retry, then the episode is recorded
with that error. Workers are replaced every `RECYCLE` episodes, which bounds what simulators leak, and die with their parent.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Generator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack
from pathlib import Path
from queue import Empty, Queue, SimpleQueue

from exprag.errors import ExpragError
from exprag.runs.config import RunConfig
from exprag.runs.logs import logged_in
from exprag.runs.player import Player, make_player
from exprag.trajectory import EpisodeError, Provenance, Task, Trajectory, now

RECYCLE = 200
RETRIES = 1

_player: Player | None = None
_log = ExitStack()


def _start(config: RunConfig, folder: Path | None) -> None:
    """Set the worker's process up: make its player once. Warnings go to the log in `folder` for as long as the process lives."""
    global _player
    if _player is None:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
        threading.Thread(target=_die_with_parent, daemon=True).start()
        _log.enter_context(logged_in(folder))
        _player = make_player(config)


def _die_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _play(config: RunConfig, folder: Path | None, task: Task) -> str:
    _start(config, folder)
    assert _player is not None
    return _player.play(task).to_json()


class _Worker:
    """One process, replaced when it breaks, unless all are to stop."""

    def __init__(self, config: RunConfig, folder: Path | None, stop: threading.Event) -> None:
        self._config, self._folder, self._stop = config, folder, stop
        self._pool: ProcessPoolExecutor | None = None

    def play(self, task: Task) -> Trajectory:
        """Raises ExpragError where the worker could not be set up; a dead process is retried, then recorded."""
        for _ in range(RETRIES + 1):
            try:
                if self._pool is None:
                    context = multiprocessing.get_context("spawn")
                    self._pool = ProcessPoolExecutor(1, mp_context=context, max_tasks_per_child=RECYCLE)
                return Trajectory.from_json(self._pool.submit(_play, self._config, self._folder, task).result())
            except BrokenProcessPool:
                self.close()
                if self._stop.is_set():
                    break
        return Trajectory(
            task=task,
            ended="error",
            success=False,
            score=0.0,
            source=self._config.policy,
            provenance=Provenance(run=self._config.name, model=self._config.model, created=now(), seed=self._config.seed),
            error=EpisodeError(
                boundary="environment",
                message=f"The worker process died {RETRIES + 1} times in this episode (killed, or out of memory).",
            ),
        )

    def close(self) -> None:
        pool, self._pool = self._pool, None
        if pool is not None:
            for process in list((pool._processes or {}).values()):
                process.terminate()
            pool.shutdown(wait=True, cancel_futures=True)


def play_all(config: RunConfig, tasks: list[Task], folder: Path | None = None) -> Generator[Trajectory]:
    """Trajectories as they finish. Workers log to the run's `folder`.

    Closing the iterator (or Ctrl-C) stops the workers; episodes in flight are lost.
    """
    if not tasks:
        return
    if config.workers == 0:
        player = make_player(config)
        try:
            for task in tasks:
                yield player.play(task)
        finally:
            player.close()
        return
    todo: Queue[Task] = Queue()
    for task in tasks:
        todo.put(task)
    done: SimpleQueue[Trajectory | BaseException | None] = SimpleQueue()
    stop = threading.Event()
    workers = [_Worker(config, folder, stop) for _ in range(min(config.workers, len(tasks)))]
    threads = [threading.Thread(target=_drain, args=(w, todo, done.put, stop), daemon=True) for w in workers]
    for thread in threads:
        thread.start()
    try:
        running = len(threads)
        while running:
            item = done.get()
            if item is None:
                running -= 1
            elif isinstance(item, BaseException):
                raise item
            else:
                yield item
    finally:
        stop.set()
        for worker in workers:
            worker.close()
        for thread in threads:
            thread.join(timeout=10)


def _drain(
    worker: _Worker, todo: Queue[Task], put: Callable[[Trajectory | BaseException | None], None], stop: threading.Event
) -> None:
    try:
        while not stop.is_set():
            trajectory = worker.play(todo.get_nowait())
            if not stop.is_set():
                put(trajectory)
    except Empty:
        pass
    except ExpragError as error:
        put(error)
    except Exception as error:  # noqa: BLE001 - handed to the caller's thread, which raises it
        if not stop.is_set():
            put(error)
    finally:
        put(None)
