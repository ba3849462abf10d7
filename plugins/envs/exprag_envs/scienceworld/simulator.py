"""The simulator in its JVM: load, step, list. It knows the simulator's own calls, and nothing of tasks or rewards.

One JVM serves one environment, for all its episodes in sequence: simulators side by side in one JVM share state and score
wrongly. The simulator's printing is silenced inside the JVM: it costs several times the step itself.
"""

from __future__ import annotations

import os
from typing import Any, NamedTuple

from exprag.errors import EnvError
from exprag_envs.jvm import JavaServer, sendable

OPEN_UTIL = "--add-opens=java.base/java.util=ALL-UNNAMED"  # for `_chance`
SCRAMBLE = 0x5DEECE66D  # java.util.Random.setSeed(s) makes the state s ^ SCRAMBLE, by its documentation


class Reply(NamedTuple):
    """What one step gave: text, score in -100..100, whether the simulator calls the task over, simulated moves so far."""

    text: str
    score: int
    completed: bool
    moves: int


class Simulator(JavaServer):
    """A running ScienceWorld JVM with one simulator in it. `heap` as Java writes it: "512m"."""

    def __init__(self, heap: str = "512m") -> None:
        from scienceworld.constants import BASEPATH, JAR_PATH

        super().__init__("ScienceWorld", JAR_PATH, BASEPATH, heap, (OPEN_UTIL,))
        self._agent: Any = None
        with self._guarded("start"):
            jvm = self._gateway.jvm
            jvm.java.lang.System.setOut(jvm.java.io.PrintStream(os.devnull))
            self._server = jvm.scienceworld.runtime.pythonapi.PythonInterface()
            self._join = jvm.java.lang.String.join
            self._chance, self._chance_state = _random_generator(jvm)

    def load(self, name: str, variation: int, simplifications: str = "", gold: bool = False) -> tuple[str, Reply]:
        """Load a variation at its beginning; returns the task description and the reply to a first "look around".

        With `gold`, the simulator also computes its gold path (0.1 s to some seconds); see `gold_path`.
        """
        with self._guarded("load a task"):
            error = self._server.load(name, variation, simplifications, gold)
            if error:
                raise EnvError(f"ScienceWorld refuses {name}/{variation}: {error}")
            self._agent = self._server.agentInterface().get()
            return self._server.getTaskDescription(), self.step("look around")

    def step(self, action: str) -> Reply:
        with self._guarded("step"):
            server = self._server
            text = server.step(sendable(action))
            reply = Reply(text, round(100 * server.getScore()), server.getCompleted(), server.getNumMoves())
            if self._agent.isInErrorState():
                raise EnvError(
                    f"ScienceWorld broke on the action {action!r}: {self._agent.getErrorStateMessage()}.",
                    cure="The episode cannot go on; the next reset is unharmed.",
                )
            return reply

    def admissible(self) -> list[str]:
        """Every action that the present state understands, sorted. Asking changes nothing: the listing draws from the random
        numbers that bees and flowers live by, so their state is put back."""
        with self._guarded("list the admissible actions"):
            state = self._chance_state.get(self._chance)
            # One string in one round trip: element by element costs more than the listing, and so does the simulator's JSON.
            text = self._join("\t", self._server.getValidActionObjectCombinations())
            self._chance.setSeed(state ^ SCRAMBLE)
        return sorted(set(text.split("\t")))

    def gold_path(self) -> list[str]:
        """The gold path of the last `load(gold=True)`."""
        with self._guarded("read the gold path"):
            return list(self._server.getGoldActionSequence())

    def templates(self) -> list[str]:
        """The loaded task's action forms as the package writes them, "OBJ" for each object."""
        with self._guarded("list the action forms"):
            return list(self._server.getPossibleActions())

    def close(self) -> None:
        """End the JVM and wait for it. Idempotent."""
        self._agent = self._server = self._chance = self._chance_state = None
        super().close()


def _random_generator(jvm: Any) -> tuple[Any, Any]:
    """The one random generator that all of the simulator draws from (a java.util.Random), and the field of its state."""
    field = jvm.java.lang.Class.forName("java.util.Random").getDeclaredField("seed")
    field.setAccessible(True)
    return getattr(getattr(jvm.scala.util, "Random$"), "MODULE$").self(), field
