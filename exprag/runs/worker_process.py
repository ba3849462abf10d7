"""The process of one worker: it plays one task after another for its parent, and dies with it.

What an episode may do to a process is bounded here: an exit or interrupt inside it is an episode with an error, a call that
hangs is seen by the parent in the shared clock, and the process ends as soon as its parent does.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from contextlib import suppress
from multiprocessing.connection import Connection
from multiprocessing.sharedctypes import RawValue
from pathlib import Path
from typing import Any

from exprag.environments import calls
from exprag.errors import ExpragError, describe
from exprag.runs.config import RunConfig
from exprag.runs.logs import logged_in
from exprag.runs.player import Player, make_player
from exprag.trajectory import EpisodeError, Provenance, Task, Trajectory, now

GRACE_SECONDS = 1.0
EXITS = (SystemExit, KeyboardInterrupt, GeneratorExit)


def serve(connection: Connection, clock: Any, config: RunConfig, folder: Path | None) -> None:
    """The worker's main function. `clock` holds when the environment's present call began, 0 between calls.

    Sends None when it is ready or an ExpragError where it cannot be set up; then for each task that it receives a trajectory.
    """
    threading.Thread(target=_die_with_parent, daemon=True).start()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    calls.watch(lambda running: setattr(clock, "value", time.monotonic() if running else 0.0))
    with logged_in(folder), suppress(EOFError, BrokenPipeError):
        try:
            player = make_player(config)
        except ExpragError as error:
            connection.send(error)
            return
        connection.send(None)
        try:
            while True:
                connection.send(play(player, config, Task.from_json(connection.recv())).to_json())
        finally:
            player.close()


def play(player: Player, config: RunConfig, task: Task) -> Trajectory:
    """Play a task; an exit inside the episode is an episode with an error."""
    try:
        return player.play(task)
    except EXITS as error:
        if isinstance(error, KeyboardInterrupt) and signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
            raise  # the user's Ctrl-C
        return failed(config, task, f"The episode tried to end the process: {describe(error)}")


def failed(config: RunConfig, task: Task, message: str) -> Trajectory:
    """The record of an episode that has none of its own."""
    return Trajectory(
        task=task,
        ended="error",
        success=False,
        score=0.0,
        source=config.policy,
        provenance=Provenance(run=config.name, model=config.model, created=now(), seed=config.seed),
        error=EpisodeError(boundary="environment", message=message),
    )


class WorkerProcess:
    """The parent's end of one worker process."""

    def __init__(self, config: RunConfig, folder: Path | None) -> None:
        context = multiprocessing.get_context("spawn")
        self._connection, theirs = context.Pipe()
        self.clock = RawValue("d", 0.0)
        self._process = context.Process(target=serve, args=(theirs, self.clock, config, folder))
        # The child is born with Ctrl-C blocked, so that it prints no traceback while it imports.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            self._process.start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        theirs.close()
        self.played = 0

    def send(self, task: Task) -> None:
        """Start a task. Raises EOFError where the process is gone."""
        try:
            self._connection.send(task.to_json())
        except (BrokenPipeError, ConnectionError) as error:
            raise EOFError from error

    def receive(self, seconds: float) -> Any:
        """What it sent, or `...` where nothing came in this time. Raises EOFError where the process is gone."""
        try:
            return self._connection.recv() if self._connection.poll(seconds) else ...
        except (BrokenPipeError, ConnectionError) as error:
            raise EOFError from error

    def kill(self) -> None:
        """End the process: asked first, then killed after a grace, since an environment may ignore the asking."""
        self._process.terminate()
        self._process.join(GRACE_SECONDS)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()
        self._connection.close()


def _die_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
