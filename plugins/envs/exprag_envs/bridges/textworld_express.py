"""TextWorldExpress (Jansen and Côté, 2023): eight text games in one Java library, fast, with gold paths."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import version
from typing import Any

from exprag.contracts.environment import Info, make_fingerprint
from exprag.errors import ConfigError, EnvError, closest
from exprag.trajectory import Task
from exprag_envs.bridges.express_jvm import ExpressServer
from exprag_envs.bridges.seeds import OVER, SeededEnvironment
from exprag_envs.jvm import need_heap

GAMES = ("cookingworld", "coin", "twc", "mapreader", "arithmetic", "sorting", "simonsays", "peckingorder")
NOT_UNDERSTOOD = ("Unknown action", "I'm not sure what")
TEMPLATES = (
    "look around",
    "inventory",
    "task",
    "move {direction}",
    "open {object}",
    "open door to {direction}",
    "close {object}",
    "close door to {direction}",
    "examine {object}",
    "take {object}",
    "put {object} in {container}",
    "read {object}",
    "eat {food}",
    "cook {food} in {appliance}",
    "chop {food}",
    "slice {food}",
    "dice {food}",
    "prepare meal",
    "touch {object}",
    "smell {object}",
    "jump up and down",
)


class TextWorldExpress(SeededEnvironment):
    """Generated games. The ids are "coin/train/3": game, fold, and the number of the seed in the fold.

    id               a game or a list of them; default: all eight
    params           parameters of the generator ("numLocations=5,includeDoors=0"), for a single game
    tasks_per_split  how many seeds a split has, at most 1000
    heap             the JVM's largest heap, as Java writes it

    The score is the game's own, within 0 and 1. Experts: "gold", the library's own path. In coin and twc it explores by a chance
    that no seed reaches: an object keeps the path that it got for a task, another one may get another.
    """

    name = "textworld-express"
    first_seeds = {"train": 0, "dev": 10_000, "test": 20_000}
    action_templates = TEMPLATES
    experts = ("gold",)

    def __init__(
        self, id: str | Sequence[str] = GAMES, params: str = "", tasks_per_split: int = 100, heap: str = "512m"
    ) -> None:
        super().__init__(id, tasks_per_split)
        if unknown := sorted(set(self.games) - set(GAMES)):
            raise ConfigError(f"TextWorldExpress has no game {unknown[0]!r}.", cure=closest(unknown[0], list(GAMES)))
        if tasks_per_split > 1000:
            raise ConfigError("textworld-express: a fold has 1000 seeds: tasks_per_split may be no more.")
        if params and len(self.games) > 1:
            raise ConfigError("textworld-express: params belong to one game.", cure="Name it: --set id=GAME.")
        self._params, self._heap = params, need_heap(heap)
        self._server: ExpressServer | None = None
        self._start: tuple[str, int, str] | None = None
        self._reply: dict[str, Any] = {}
        self._steps = 0
        self._paths: dict[tuple[str, int, str], list[str]] = {}

    def reset(self, *, seed: int | None = None, options: Mapping[str, Any] | None = None) -> tuple[str, Info]:
        task, game, number = self.start_of(options)
        if self._server is None or not self._server.alive:
            self.close()
            self._server = ExpressServer(self._heap)
        self._start = None
        description, self._reply = self._server.start(game, self._params, number, task.split)
        self._start, self._steps = (game, number, task.split), 0
        instruction = " ".join(description.split())
        return self._reply["observation"].strip(), {
            **self._info(),
            "task": task.model_copy(update={"instruction": instruction}),
        }

    def step(self, action: str) -> tuple[str, float, bool, bool, Info]:
        server = self._playing()
        if self._over:
            return OVER, 0.0, True, False, {**self._info(), "valid": False}
        before = self._score
        try:
            self._reply = server.step(action)
        except EnvError:
            self._start = None
            raise
        self._steps += 1
        text = self._reply["observation"].strip()
        valid = not any(words in text for words in NOT_UNDERSTOOD)
        return text, self._score - before, self._over, False, {**self._info(), "valid": valid}

    def admissible_actions(self) -> list[str]:
        return [] if self._start is None or self._over else sorted(set(self._reply["validActions"]))

    def expert(self, name: str | None = None) -> Iterator[str]:
        """The library's own path. Ask for it right after `reset`: the game is generated again with it."""
        if name not in (None, *self.experts):
            raise ConfigError(f"TextWorldExpress has no expert {name!r}.", cure=closest(str(name), list(self.experts)))
        server = self._playing()
        if self._steps:
            raise EnvError("The gold path begins at the first step.", cure="Ask for it right after reset.")
        assert self._start is not None
        if self._start not in self._paths:
            game, number, fold = self._start
            _, self._reply = server.start(game, self._params, number, fold, gold=True)
            self._paths[self._start] = server.gold_path()
        return iter(self._paths[self._start])

    def max_steps(self, task: Task) -> int:
        return 50

    def fingerprint(self) -> str:
        return make_fingerprint(self.name, version("textworld_express"), (*TEMPLATES, f"params: {self._params}"))

    def close(self) -> None:
        server, self._server, self._start = self._server, None, None
        if server is not None:
            server.close()

    @property
    def jvm_pid(self) -> int | None:
        """The process id of the running JVM; None where none runs."""
        return self._server.pid if self._server is not None and self._server.alive else None

    @property
    def _score(self) -> float:
        return min(1.0, max(-1.0, float(self._reply.get("score", 0.0))))

    @property
    def _over(self) -> bool:
        return bool(self._reply.get("tasksuccess") or self._reply.get("taskfailure") or self._score >= 1.0)

    def _playing(self) -> ExpressServer:
        if self._server is None or self._start is None:
            raise EnvError("TextWorldExpress was not reset.")
        return self._server

    def _info(self) -> Info:
        return {"score": self._score, "success": bool(self._reply.get("tasksuccess") or self._score >= 1.0)}
