"""TextWorldExpress in its JVM: load, step, gold path. It knows the library's own calls, and nothing of tasks or rewards."""

from __future__ import annotations

import json
from typing import Any

from exprag.errors import EnvError
from exprag_envs.jvm import JavaServer, sendable


class ExpressServer(JavaServer):
    """A running JVM with one game in it. Replies are the library's: observation, validActions, score, tasksuccess …"""

    def __init__(self, heap: str) -> None:
        from textworld_express.constants import BASEPATH, JAR_PATH

        super().__init__("TextWorldExpress", JAR_PATH, BASEPATH, heap)
        self._game = ("", "")
        with self._guarded("start"):
            self._server: Any = self._gateway.jvm.textworldexpress.runtime.PythonInterface()

    def start(self, game: str, parameters: str, seed: int, fold: str, gold: bool = False) -> tuple[str, dict[str, Any]]:
        """Generate a game; returns the task's description and the first reply. With `gold`, its gold path too."""
        with self._guarded("generate a game"):
            if (game, parameters) != self._game:
                if complaint := self._server.load(game, parameters):
                    raise EnvError(f"TextWorldExpress refuses {game!r}: {complaint}")
                self._game = (game, parameters)
            reply = json.loads(self._server.generateNewGameJSON(seed, fold, gold))
            if reply["observation"].startswith("ERROR"):
                raise EnvError(f"TextWorldExpress could not generate {game}/{fold} of seed {seed}: {reply['observation']}")
            return self._server.getTaskDescription(), reply

    def step(self, action: str) -> dict[str, Any]:
        with self._guarded("step"):
            reply: dict[str, Any] = json.loads(self._server.stepJSON(sendable(action)))
            return reply

    def gold_path(self) -> list[str]:
        """The gold path of the last `start(gold=True)`."""
        with self._guarded("read the gold path"):
            return list(self._server.getGoldActionSequence())

    def close(self) -> None:
        """End the JVM and wait for it. Idempotent."""
        self._server = None
        super().close()
