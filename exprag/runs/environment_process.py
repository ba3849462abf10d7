"""Environments in processes beside the one that plays: for many episodes in threads with one model.

A simulator may bear no second thread, leak, hang or die; here each lives in a process with others of its kind, which makes their
calls one after another. A call that takes longer than its limit ends the process, and is an EnvError of its episode. The other
episodes of that process go on: their environments are brought back in a new one by replaying their actions. So are all of a
process that died; the episode in whose call it dies a second time ends with that error.
"""

from __future__ import annotations

import contextlib
import itertools
import threading
import time
from collections.abc import Collection, Iterator, Mapping
from queue import Empty, SimpleQueue
from typing import Any

from exprag.contracts.environment import Info, TextEnvironment
from exprag.errors import EnvError
from exprag.runs.child_process import LEAVING_SECONDS, ChildProcess, Keeper, rebuilt
from exprag.runs.config import RunConfig
from exprag.trajectory import Task

RECYCLE = 200  # resets after which a process is replaced, which bounds what simulators leak
RETRIES = 1
_WORDS = ("ready", "value", "error", "stop")


class _Died(Exception):
    """The process ended in the call."""


class _Process(ChildProcess):
    """One process of environments."""

    def __init__(self, setup: dict[str, Any], keeper: Keeper) -> None:
        self.answers: SimpleQueue[tuple[str, Any]] = SimpleQueue()
        super().__init__(_WORDS, "environments", setup, keeper)

    def receive(self, word: str, value: Any) -> None:
        self.answers.put((word, value))


class _Host:
    """A process of environments that is started when it is needed, and again after it has ended. Its lock is held in each call.

    generation   how many processes there were: environments of an earlier one are lost
    """

    def __init__(self, config: RunConfig, folder: str | None, keeper: Keeper) -> None:
        self._setup = {"environment": config.environment, "options": config.environment_options, "folder": folder}
        self._setup_timeout, self._keeper = config.setup_timeout, keeper
        self._memory = config.worker_memory
        self._process: _Process | None = None
        self._resets = 0
        self.lock = threading.Lock()
        self.generation = 0
        self.inhabitants = 0

    def begin(self, name: str) -> None:
        """Have a process. One that has begun enough episodes is replaced at the begin of the next."""
        if name == "reset" and self._resets >= RECYCLE:
            self.end(ask=True)
        if self._process is None:
            self._process, self._resets = _Process(self._setup, self._keeper), 0
            self._process.limit_memory(self._memory)
            self.generation += 1
            try:
                self._answer(self._setup_timeout)
            except TimeoutError:
                limit = f"{self._setup_timeout:g} s (setup_timeout)"
                raise EnvError(f"A process of environments was not ready after {limit}: it was ended.") from None
        self._resets += name == "reset"

    def call(self, number: int, name: str, value: Any, seconds: float | None) -> Any:
        """What a call gives. Raises ExpragError where the environment does, TimeoutError after the seconds, with the process
        ended, and _Died where that ended itself."""
        assert self._process is not None
        self._process.send("call", {"number": number, "name": name, "value": value})
        return self._answer(seconds)

    def end(self, *, ask: bool = False) -> None:
        """End the process; `ask`: it closes its environments first."""
        process, self._process = self._process, None
        if process is not None:
            if ask:
                process.leave()
            _Process.end([process], LEAVING_SECONDS if ask else 1.0, ask=not ask)

    @property
    def lives(self) -> bool:
        return self._process is not None

    def _answer(self, seconds: float | None) -> Any:
        assert self._process is not None
        try:
            word, value = self._process.answers.get(timeout=seconds)
        except Empty:
            self.end()
            raise TimeoutError from None
        if word == "gone":
            oversized = self._process.oversized
            self.end()
            if oversized:
                raise EnvError(f"A process of environments was ended. {oversized}.")
            raise _Died
        if word in ("error", "stop"):
            raise rebuilt(value)
        return value


class EnvironmentHosts:
    """As many processes of environments as a configuration has workers, each started when it is needed first.

    `describe` is an environment of this process: it lists tasks and limits, and is never reset.
    """

    def __init__(self, config: RunConfig, describe: TextEnvironment, folder: str | None = None) -> None:
        self._config, self._describe = config, describe
        self._keeper = Keeper()
        self._hosts = [_Host(config, folder, self._keeper) for _ in range(max(1, config.workers))]
        self._numbers = itertools.count()
        self._lock = threading.Lock()

    def make(self) -> RemoteEnvironment:
        """An environment in the process that has fewest."""
        with self._lock:
            host = min(self._hosts, key=lambda each: each.inhabitants)
            host.inhabitants += 1
            return RemoteEnvironment(host, next(self._numbers), self._describe, self._config)

    def close(self) -> None:
        """End all processes. What closes slowly is killed."""
        threads = [threading.Thread(target=host.end, kwargs={"ask": True}) for host in self._hosts]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self._keeper.close()


class RemoteEnvironment(TextEnvironment):
    """An environment that lives in another process; for one thread at a time, as any other."""

    def __init__(self, host: _Host, number: int, describe: TextEnvironment, config: RunConfig) -> None:
        for attribute in ("name", "splits", "action_templates", "type_groups"):
            setattr(self, attribute, getattr(describe, attribute))
        self._host, self._number, self._describe, self._config = host, number, describe, config
        self._generation = 0
        self._begin: dict[str, Any] | None = None
        self._actions: list[str] = []
        self._observation = ""
        self._deaths = 0
        self._end: float | None = None

    def tasks(self, split: str, types: Collection[str] | None = None) -> Iterator[Task]:
        return self._describe.tasks(split, types)

    def task(self, task: Task | Mapping[str, Any] | str) -> Task:
        return self._describe.task(task)

    def max_steps(self, task: Task) -> int:
        return self._describe.max_steps(task)

    def succeeded(self, score: float) -> bool:
        return self._describe.succeeded(score)

    def fingerprint(self) -> str:
        return self._describe.fingerprint()

    def reset(self, *, seed: int | None = None, options: Mapping[str, Any] | None = None) -> tuple[str, Info]:
        task = self._describe.task((options or {})["task"])
        self._begin, self._actions, self._deaths = None, [], 0
        begin = {"task": task.to_dict(), "seed": seed}
        outcome = self._call("reset", begin)
        self._begin, self._observation = begin, outcome["observation"]
        return outcome["observation"], {"task": outcome["task"], "score": outcome["score"]}

    def step(self, action: str) -> tuple[str, float, bool, bool, Info]:
        outcome = self._call("step", action)
        self._actions.append(action)
        self._observation = outcome["observation"]
        info = {name: outcome[name] for name in ("score", "success", "valid")}
        return outcome["observation"], outcome["reward"], outcome["terminated"], outcome["truncated"], info

    def admissible_actions(self) -> list[str] | None:
        actions: list[str] | None = self._call("admissible_actions", None)
        return actions

    def close(self) -> None:
        self._begin = None
        with self._host.lock:
            if self._host.lives and self._generation == self._host.generation:
                with contextlib.suppress(TimeoutError, _Died):
                    self._host.call(self._number, "close", None, self._config.step_timeout)
                self._generation = 0

    def _call(self, name: str, value: Any) -> Any:
        """The call in the process, restarted where it has ended. Raises EnvError at a limit, and where it keeps dying."""
        with self._host.lock:
            while True:
                try:
                    self._host.begin(name)
                    if name == "reset" and self._config.episode_timeout is not None:  # the start of the process does not count
                        self._end = time.monotonic() + self._config.episode_timeout
                    if self._generation != self._host.generation:
                        self._generation = self._host.generation
                        self._replay()
                    return self._limited(name, value)
                except _Died:
                    self._deaths += 1
                    if self._deaths > RETRIES:
                        times = f"died {self._deaths} times in this episode (killed, or out of memory)."
                        raise EnvError(f"The environment's process {times}") from None

    def _limited(self, name: str, value: Any) -> Any:
        """One call within the limits. They count from here: others of the process may have kept it waiting."""
        config, left = self._config, None if self._end is None else max(0.001, self._end - time.monotonic())
        step = config.step_timeout
        seconds = min((limit for limit in (step, left) if limit is not None), default=None)
        try:
            return self._host.call(self._number, name, value, seconds)
        except TimeoutError:
            if step is not None and seconds == step:
                what = f"The environment's {name!r} took longer than {step:g} s (step_timeout)"
            else:
                what = f"The episode took longer than {config.episode_timeout:g} s (episode_timeout)"
            raise EnvError(f"{what}: its process was ended.") from None

    def _replay(self) -> None:
        """Bring a new process to where the episode stands. Raises EnvError where that does not agree."""
        if self._begin is None:
            return
        outcome = self._limited("reset", self._begin)
        for action in self._actions:
            outcome = self._limited("step", action)
        if outcome["observation"] != self._observation:
            raise EnvError(
                f"After its process had ended, the environment could not be brought back to step {len(self._actions)}: "
                "played again, the same actions lead elsewhere."
            )
