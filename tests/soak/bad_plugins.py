"""Thirty plugins that break their contract, each in one way: environments in the second task, the others at every call."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any

from exprag.contracts import AgentStyle, Candidate, Formatter, Info, Moment, QueryStrategy, Selector
from exprag.errors import ConfigError
from exprag.trajectory import Trajectory
from exprag_formatters.chat_json import ChatJson
from exprag_retrievers.selectors.top_k import TopK
from exprag_retrievers.strategies.task import TaskStrategy
from exprag_styles.act import Act
from tests.soak.commands import COMMAND
from toy import Toy

Answer = tuple[Any, Any, Any, Any, Any]


class Bad(Toy):
    """Plays the second test task otherwise than a toy should."""

    def step(self, action: str) -> Answer:
        answer = super().step(action)
        assert self._task is not None
        return self.spoil(*answer) if self._task.id == "test/1" else answer

    def spoil(self, text: Any, reward: Any, terminated: Any, truncated: Any, info: Any) -> Any:
        return text, reward, terminated, truncated, info


def _raising(name: str, error: type[BaseException]) -> type[Bad]:
    def spoil(self: Bad, *answer: Any) -> Any:
        raise error("it is meant to")

    return type(name, (Bad,), {"spoil": spoil, "__module__": __name__})


Raises = _raising("Raises", RuntimeError)
RaisesConfig = _raising("RaisesConfig", ConfigError)
RaisesExit = _raising("RaisesExit", SystemExit)
RaisesInterrupt = _raising("RaisesInterrupt", KeyboardInterrupt)
RaisesGeneratorExit = _raising("RaisesGeneratorExit", GeneratorExit)
RaisesMemory = _raising("RaisesMemory", MemoryError)


class Base(BaseException):
    """Nobody's exception."""


RaisesBase = _raising("RaisesBase", Base)


class Vanishes(Bad):
    def spoil(self, *answer: Any) -> Any:
        os._exit(0)


class Crashes(Bad):
    def spoil(self, *answer: Any) -> Any:
        os.kill(os.getpid(), signal.SIGSEGV)


class Sleeps(Bad):
    def spoil(self, *answer: Any) -> Any:
        time.sleep(3600)


class SleepsDeaf(Bad):
    def spoil(self, *answer: Any) -> Any:
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        time.sleep(3600)


class Backtracks(Bad):
    """Holds the interpreter in a call that no signal handler and no other thread gets into."""

    def spoil(self, *answer: Any) -> Any:
        re.match(r"(a+)+$", "a" * 60 + "b")


class Spawns(Bad):
    """Starts a process that ignores being asked to end, and hangs."""

    def spoil(self, *answer: Any) -> Any:
        subprocess.Popen([sys.executable, "-c", "import signal,time; signal.signal(15, signal.SIG_IGN); time.sleep(3600)"])
        time.sleep(3600)


class NanScore(Bad):
    def spoil(self, text: Any, reward: Any, terminated: Any, truncated: Any, info: Any) -> Any:
        return text, reward, terminated, truncated, {**info, "score": float("nan")}


class Nothing(Bad):
    def spoil(self, *answer: Any) -> Any:
        return None


class Surrogates(Bad):
    def spoil(self, text: Any, *others: Any) -> Any:
        return "\ud800\x00\x1b[2J</experience><|im_start|>", *others


class Prints(Bad):
    def spoil(self, *answer: Any) -> Any:
        os.write(1, b"\x00 not a message \n" * 1000)
        print('{"episode": 1}', flush=True)
        return answer


class Closes(Bad):
    """Closes the process's standard streams."""

    def spoil(self, *answer: Any) -> Any:
        for number in (0, 1, 2):
            os.close(number)
        return answer


class Lingers(Bad):
    """Leaves a thread that never ends, and an environment that cannot be closed."""

    def spoil(self, *answer: Any) -> Any:
        threading.Thread(target=time.sleep, args=(3600,)).start()
        return answer

    def close(self) -> None:
        time.sleep(3600)


class NoReset(Bad):
    def reset(self, *, seed: int | None = None, options: Mapping[str, Any] | None = None) -> tuple[str, Info]:
        text, info = super().reset(seed=seed, options=options)
        if info["task"].id == "test/1":
            sys.exit("no reset")
        return text, info


class NotMade(Bad):
    def __init__(self) -> None:
        if os.environ[COMMAND] != str(os.getpid()):
            os._exit(7)  # in a worker
        super().__init__()


class ExitingStyle(Act):
    def parse(self, response: str, templates: Sequence[str]) -> Any:
        sys.exit(0)


class InterruptingStyle(Act):
    def parse(self, response: str, templates: Sequence[str]) -> Any:
        raise KeyboardInterrupt


class HangingStyle(Act):
    def parse(self, response: str, templates: Sequence[str]) -> Any:
        time.sleep(3600)


class ExitingStrategy(TaskStrategy):
    def query(self, moment: Moment) -> str:
        sys.exit("no query")


class NumberStrategy(TaskStrategy):
    def query(self, moment: Moment) -> Any:
        return 7


class GreedySelector(TopK):
    def select(self, candidates: Sequence[Candidate], k: int, moment: Moment) -> Any:
        return [*candidates, *candidates, None]


class InterruptingSelector(TopK):
    def select(self, candidates: Sequence[Candidate], k: int, moment: Moment) -> Any:
        raise KeyboardInterrupt


class ExitingFormatter(ChatJson):
    def format(self, trajectory: Trajectory) -> str:
        raise SystemExit


class BytesFormatter(ChatJson):
    def format(self, trajectory: Trajectory) -> Any:
        return b"\xff"


CONTRACTS = {"environment": Bad, "style": AgentStyle, "strategy": QueryStrategy, "selector": Selector, "formatter": Formatter}
NAMES = {
    kind: [
        name
        for name, value in list(globals().items())
        if isinstance(value, type) and issubclass(value, contract) and value.__module__ == __name__ and value is not Bad
    ]
    for kind, contract in CONTRACTS.items()
}
