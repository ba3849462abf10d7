"""A run on a Ray cluster: actors that play episodes, while this process alone writes the run directory and the bank.

Each actor has its own workers, model and warm environments, all as on one machine (`exprag.runs.workers`): time limits, retries
and the end of what an environment started are the same. Between this process and the actors go texts, and no other objects.

An actor that is lost, with its machine or alone, costs its episodes one retry each; what it had handed over stays.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import shutil
import socket
import sys
import tempfile
import warnings
from collections import deque
from collections.abc import Generator, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from exprag.errors import ConfigError, ExpragError, PluginError, RunError, boundary, describe
from exprag.files import cannot_write
from exprag.logs import LOG
from exprag.runs.child_process import LEAVING_SECONDS, Keeper, rebuilt
from exprag.runs.concurrency import divided, episodes_at_once
from exprag.runs.config import RunConfig
from exprag.runs.memory import check_measurable
from exprag.runs.player import failed
from exprag.runs.workers import RETRIES, Crew
from exprag.trajectory import Task, Trajectory

ADDRESS = "RAY_ADDRESS"
CALLS = 4
"""Calls to an actor at a time: it waits for its workers in the next while this process writes what the first gave."""


class Station:
    """What an actor does: it hands tasks to its crew of workers, and back what they have played."""

    def __init__(self, setup: str) -> None:
        values = json.loads(setup)
        with contextlib.suppress(OSError):  # another machine may have other folders
            os.chdir(values["folder"])
        sys.path += [place for place in values["path"] if place not in sys.path and os.path.isdir(place)]
        self._folder = Path(tempfile.mkdtemp(prefix="exprag-"))
        self._crew = Crew(RunConfig.make(**values["config"]), [], self._folder, Keeper(detached=True))
        self._episodes = self._crew.episodes()
        self._logged = 0

    def about(self) -> tuple[str, str, str]:
        """("ready", name of its machine, version of exprag there)."""
        return "ready", socket.gethostname(), version("exprag")

    def next(self, tasks: str) -> tuple[str, str, str]:
        """Take tasks (JSON) and wait for the next episode of any. Gives ("episode", its JSON, log), or ("stop", {type, message,
        cure} as JSON, log) for what fails every episode; the log is what was logged since the last time."""
        try:
            self._crew.add([Task.from_dict(task) for task in json.loads(tasks)])
            episode = next(self._episodes, None)
            if episode is None:  # it had ended, when there was nothing to play
                self._episodes = self._crew.episodes()
                episode = next(self._episodes)
            return "episode", episode if isinstance(episode, str) else episode.to_json(), self._log()
        except ExpragError as error:
            stop = {"type": type(error).__name__, "message": error.message, "cure": error.cure}
            return "stop", json.dumps(stop), self._log()

    def leave(self) -> None:
        """End the workers, after they have closed their environments."""
        self._crew.leave()
        self._crew.end()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _log(self) -> str:
        with contextlib.suppress(OSError), open(self._folder / LOG, "rb") as lines:
            lines.seek(self._logged)
            text = lines.read()
            self._logged += len(text)
            return text.decode("utf-8", "replace")
        return ""


class _Seat:
    """An actor as it is seen from here."""

    def __init__(self, actor: Any) -> None:
        self.actor, self.host = actor, ""
        self.tasks: dict[str, Task] = {}
        """What it has, in the order in which it plays them."""
        self.calls = 0

    @property
    def ready(self) -> bool:
        return bool(self.host)


def play_on_ray(config: RunConfig, tasks: Sequence[Task], folder: Path) -> Generator[Trajectory]:
    """Trajectories as they finish, and tasks in a deque, as in `exprag.runs.workers.play_all`; what the actors log is added to
    the run's log.

    Raises ExpragError for what would fail every episode: no Ray, no room for an actor, and what the workers say.
    """
    if not tasks:
        return
    if config.worker_memory is not None:
        check_measurable()
    config = config.model_copy(update={"concurrency": episodes_at_once(config)})
    _check(config)
    crew = _RayCrew(connect(), config, tasks, folder)
    try:
        yield from crew.play()
        crew.leave()
    finally:
        crew.end()


def connect() -> Any:
    """Ray, connected to the cluster that RAY_ADDRESS names, else to one of this machine alone, which ends with this process.

    Raises PluginError where the extra is missing, RunError where there is no such cluster.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing phones home
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    try:
        import ray
    except ImportError as error:
        raise PluginError("The engine ray needs the package ray.", cure="pip install 'exprag[ray]'") from error
    if not ray.is_initialized():
        address = os.environ.get(ADDRESS)
        place: dict[str, Any] = {} if address else {"include_dashboard": False, "_node_ip_address": "127.0.0.1"}
        cure = f"{ADDRESS} names the cluster; without it a Ray of this machine is started."
        what = f"Ray could not be reached at {address}" if address else "Ray could not be started"
        with boundary(RunError, what, cure=cure), warnings.catch_warnings():
            warnings.filterwarnings("ignore", "lancedb fork support", RuntimeWarning)  # Ray starts programs, and nothing else
            ray.init(address=address, logging_level=logging.ERROR, **place)
    return ray


def _check(config: RunConfig) -> None:
    if config.workers == 0:
        raise ConfigError("With workers=0 episodes are played in this process, not by Ray.", cure="Set workers to 1 or more.")
    if "__main__:" in json.dumps(config.model_dump(mode="json")):
        raise ConfigError("A class of __main__ is not to be had on other machines.", cure="Put it into a module.")


class _RayCrew:
    """The actors of one round of tasks, all handled by the thread that asks for trajectories."""

    def __init__(self, ray: Any, config: RunConfig, tasks: Sequence[Task], folder: Path) -> None:
        self._ray, self._config, self._folder = ray, config, folder
        self._tasks = tasks if isinstance(tasks, deque) else deque(tasks)
        self._deaths: dict[str, int] = {}
        self._lost_at_start = 0
        self._answers: dict[Any, _Seat] = {}
        """The actors by the answer that is awaited from each."""
        self._idle: list[_Seat] = []
        self._room = divided(config)[0] * (config.concurrency or 1)
        self._spare = max(2, self._room // 4) + CALLS
        """Tasks that wait in an actor, so that no worker waits for this process; those of calls that wait are not there yet."""
        values = {"config": config.model_dump(mode="json"), "folder": os.getcwd(), "path": [p for p in sys.path if p]}
        self._setup = json.dumps(values)
        self._cpus = max(1, config.workers)
        resources = {"num_cpus": self._cpus, "num_gpus": config.actor_gpus}
        self._station = ray.remote(max_restarts=0, max_task_retries=0, **resources)(Station)

    def play(self) -> Generator[Trajectory]:
        for _ in range(min(self._config.actors or self._fitting(), len(self._tasks))):
            self._start()
        while self._tasks or any(seat.tasks for seat in self._answers.values()):
            none_ready = not any(seat.ready for seat in self._answers.values())
            timeout = self._config.setup_timeout if none_ready else None
            answers, _ = self._ray.wait(list(self._answers), num_returns=1, timeout=timeout)
            if not answers:
                raise RunError(f"No actor was ready after {timeout:g} s (setup_timeout).", cure="ray status shows why.")
            seat = self._answers.pop(answers[0])
            try:
                answer = self._ray.get(answers[0])
            except self._ray.exceptions.RayError as error:
                yield from self._replace(seat, error)
            else:
                yield from self._hear(seat, *answer)

    def leave(self) -> None:
        """Let the actors end their workers in peace."""
        seats = [*self._idle, *self._answers.values()]
        with contextlib.suppress(self._ray.exceptions.RayError):
            leaving = [seat.actor.leave.remote() for seat in seats if seat.ready]
            if leaving:
                self._ray.wait(leaving, num_returns=len(leaving), timeout=2 * LEAVING_SECONDS)

    def end(self) -> None:
        """Kill the actors; what they started ends with them."""
        for seat in [*self._idle, *self._answers.values()]:
            with contextlib.suppress(Exception):
                self._ray.kill(seat.actor)

    def _fitting(self) -> int:
        """How many actors the cluster has room for. Raises RunError where it is none."""
        there = self._ray.cluster_resources()
        count = int(there.get("CPU", 0) // self._cpus)
        gpus = self._config.actor_gpus
        if gpus:
            count = min(count, int(there.get("GPU", 0) / gpus))
        if not count:
            need = f"{self._cpus} CPUs" + (f" and {gpus:g} GPUs" if gpus else "")
            have = f"{there.get('CPU', 0):g} CPUs and {there.get('GPU', 0):g} GPUs"
            raise RunError(f"An actor needs {need}; the Ray cluster has {have}.", cure="Set workers or actor_gpus.")
        return count

    def _start(self) -> None:
        seat = _Seat(self._station.remote(self._setup))
        self._answers[seat.actor.about.remote()] = seat

    def _go_on(self, seat: _Seat) -> None:
        """Give an actor tasks, and await its next episodes."""
        count = self._room + self._spare if len(self._tasks) > self._room * len(self._answers) else self._room
        tasks = [self._tasks.popleft() for _ in range(min(count - len(seat.tasks), len(self._tasks)))]
        seat.tasks |= {task.key: task for task in tasks}
        text = json.dumps([task.to_dict() for task in tasks])
        while seat.calls < min(CALLS, len(seat.tasks)):
            self._answers[seat.actor.next.remote(text)] = seat
            seat.calls += 1
            text = "[]"
        if not seat.calls:
            self._idle.append(seat)

    def _hear(self, seat: _Seat, word: str, text: str, more: str) -> Generator[Trajectory]:
        """Take what an actor said: see `Station`."""
        if word == "ready":
            if more != version("exprag"):
                reason = f"{text} has exprag {more}, this machine {version('exprag')}."
                raise RunError(reason, cure="Install the same version on all machines.")
            seat.host = text
            self._go_on(seat)
            return
        self._note(more)
        if word == "stop":
            raise rebuilt(json.loads(text))
        episode = Trajectory.from_json(text)
        seat.tasks.pop(episode.task.key, None)
        seat.calls -= 1
        self._go_on(seat)
        yield episode

    def _replace(self, seat: _Seat, error: Exception) -> Generator[Trajectory]:
        """Start an actor in place of a lost one, and play its tasks again; those at which one was lost before are recorded."""
        if not seat.ready:
            self._lost_at_start += 1
            if self._lost_at_start > RETRIES and not any(other.ready for other in self._answers.values()):
                raise RunError(f"Actors could not be made: {describe(error)}", cure="ray logs show why.") from error
        self._answers = {answer: other for answer, other in self._answers.items() if other is not seat}
        lost = []
        for place, task in reversed([*enumerate(seat.tasks.values())]):
            deaths = self._deaths.get(task.key, 0) + (place < self._room)  # the others had not begun
            self._deaths[task.key] = deaths
            if deaths <= RETRIES:
                self._tasks.appendleft(task)
            else:
                lost.append(task)
        if self._tasks:
            self._start()
        while self._tasks and self._idle:
            self._go_on(self._idle.pop())
        for task in lost:
            message = f"The actor was lost {RETRIES + 1} times in this episode (killed, out of memory, or its machine was lost)."
            yield failed(self._config, task, "environment", message)

    def _note(self, text: str) -> None:
        if not text:
            return
        try:
            with open(self._folder / LOG, "a", encoding="utf-8", errors="backslashreplace") as out:
                out.write(text)
        except OSError as error:
            raise cannot_write(self._folder / LOG, error) from error
