"""A process of environments: it holds several of one kind, and makes the calls that its parent names, one after another.

    parent    setup {role, environment, options, folder, path, main}, then call {number, name, value}, leave at the end
    process   ready; for each call value VALUE or error {type, message, cure}; stop {type, message, cure} where it cannot begin

The environments are told apart by `number`. Calls are checked here (`exprag.environments.calls`), and what an environment raises
is logged here with its traceback; what goes back is plain JSON.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from queue import SimpleQueue
from typing import Any

from exprag.contracts.environment import TextEnvironment, answering
from exprag.environments import calls
from exprag.environments.calls import Outcome
from exprag.errors import ExpragError, describe
from exprag.faults import log_fault
from exprag.logs import logged_in
from exprag.plugins import create
from exprag.trajectory import Task


def serve(setup: dict[str, Any], inbox: SimpleQueue[tuple[str, Any]], answer: Callable[[str, Any], None]) -> None:
    """Make calls until the parent asks to leave."""
    with logged_in(setup["folder"]):
        environments = _Environments(setup["environment"], setup["options"])
        answer("ready", None)
        while (request := inbox.get())[0] == "call":
            try:
                answer("value", environments.call(**request[1]))
            except ExpragError as error:
                log_fault(error)
                answer("error", {"type": type(error).__name__, "message": error.message, "cure": error.cure})
            except BaseException as error:  # noqa: BLE001 - raised past every guard: the episode is told
                answer("error", {"type": "EnvError", "message": f"The environment raised {describe(error)}", "cure": ""})
        environments.close()


class _Environments:
    """The live environments by number, each with what its last call led to."""

    def __init__(self, name: str, options: dict[str, Any]) -> None:
        self._name, self._options = name, options
        self._live: dict[int, tuple[TextEnvironment, Outcome]] = {}

    def call(self, number: int, name: str, value: Any) -> Any:
        if name == "close":
            if number in self._live:
                calls.close(self._live.pop(number)[0])
            return None
        environment, last = self._live.get(number) or (self._make(), Outcome(""))
        self._live[number] = environment, last
        if name == "admissible_actions":
            return calls.admissible_actions(environment)
        if name == "reset":
            last = calls.reset(environment, Task.from_dict(value["task"]), value["seed"])
        else:
            last = calls.step(environment, value, last)
        self._live[number] = environment, last
        return asdict(last) | {"task": last.task.to_dict() if last.task else None}

    def close(self) -> None:
        for environment, _ in self._live.values():
            calls.close(environment)

    def _make(self) -> TextEnvironment:
        environment: TextEnvironment = create("environment", self._name, **self._options)
        with answering(environment, "its constructor"):
            return environment
