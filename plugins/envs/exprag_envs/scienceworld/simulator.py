"""The simulator's JVM: start, load, step, close. It knows py4j and the simulator's own calls, and nothing of tasks or rewards.

One JVM serves one environment, for all its episodes in sequence: simulators side by side in one JVM share state and
score wrongly. Compared with the package's own launcher it
    * bounds the heap, and dies with this process (its stdin is our pipe) or when memory runs out;
    * silences the simulator's printing inside the JVM: it costs several times the step itself;
    * fixes identity hashes (`-XX:hashCode=2`): the simulator keeps objects in sets ordered by them, so that otherwise the
      same actions give other listings, other numbers in ambiguous requests and other gold paths, by what the JVM did before;
    * asks for a token on its local port, and starts no callback server.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
import tempfile
from collections.abc import Iterator
from typing import Any, NamedTuple

from exprag.errors import ConfigError, EnvError
from exprag_envs.scienceworld.java import need_java

JVM_OPTIONS = (
    "-XX:+UseSerialGC",  # the smallest footprint; one environment keeps one core busy at most
    "-XX:+ExitOnOutOfMemoryError",
    "-XX:-UsePerfData",  # no files in the temporary folder
    "-XX:+UnlockExperimentalVMOptions",
    "-XX:hashCode=2",
)
PATIENCE = 5.0  # seconds for a JVM to end by itself
RESTART = "The next reset starts a new one."


class Reply(NamedTuple):
    """What one step gave: text, score in -100..100, whether the simulator calls the task over, simulated moves so far."""

    text: str
    score: int
    completed: bool
    moves: int


class Simulator:
    """A running ScienceWorld JVM with one simulator in it. `heap` as Java writes it: "512m"."""

    def __init__(self, heap: str = "512m") -> None:
        if not re.fullmatch(r"[1-9]\d*[kmgKMG]", heap):
            raise ConfigError(f"heap={heap!r} is not a Java memory size.", cure='Give a number and a unit: "512m" or "1g".')
        self._process, port, token = _start_jvm(need_java(), f"-Xmx{heap}")
        try:
            from py4j.java_gateway import GatewayParameters, JavaGateway

            self._gateway = JavaGateway(gateway_parameters=GatewayParameters(port=port, auth_token=token))
            jvm = self._gateway.jvm
            jvm.java.lang.System.setOut(jvm.java.io.PrintStream(os.devnull))
            self._server = jvm.scienceworld.runtime.pythonapi.PythonInterface()
        except BaseException:
            self._end_process()
            raise
        self._agent: Any = None

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

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
            text = server.step(_sendable(action))
            reply = Reply(text, round(100 * server.getScore()), server.getCompleted(), server.getNumMoves())
            if self._agent.isInErrorState():
                raise EnvError(
                    f"ScienceWorld broke on the action {action!r}: {self._agent.getErrorStateMessage()}.",
                    cure="The episode cannot go on; the next reset is unharmed.",
                )
            return reply

    def admissible(self) -> list[str]:
        """Every action that the present state understands, sorted."""
        with self._guarded("list the admissible actions"):
            listed = json.loads(self._server.getValidActionObjectCombinationsJSON())
        return sorted({entry["action"] for entry in listed["validActions"]})

    def gold_path(self) -> list[str]:
        """The gold path of the last `load(gold=True)`."""
        with self._guarded("read the gold path"):
            return list(self._server.getGoldActionSequence())

    def templates(self) -> list[str]:
        """The loaded task's action forms as the package writes them, "OBJ" for each object."""
        with self._guarded("list the action forms"):
            return list(self._server.getPossibleActions())

    def close(self) -> None:
        """End the JVM and wait for it, so that no zombie stays. Idempotent."""
        with contextlib.suppress(Exception):  # the other side may be gone already; the process is what counts
            self._gateway.close()
        self._end_process()

    def _end_process(self) -> None:
        with contextlib.suppress(OSError):
            self._process.stdin.close()  # the gateway ends when its stdin does
        try:
            self._process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()

    @contextlib.contextmanager
    def _guarded(self, what: str) -> Iterator[None]:
        from py4j.protocol import Py4JError

        try:
            yield
        except (Py4JError, OSError) as error:
            if isinstance(error, Py4JError) and self._ends_soon() is None:
                raise EnvError(f"ScienceWorld could not {what}: {error}") from error
            code = self._ends_soon()
            raise EnvError(f"The ScienceWorld JVM died (exit code {code}): it could not {what}.", cure=RESTART) from error

    def _ends_soon(self) -> int | None:
        try:
            return self._process.wait(1.0)
        except subprocess.TimeoutExpired:
            return None


def _start_jvm(java: str, heap: str) -> tuple[Any, int, str]:
    """Start a py4j gateway with the simulator on its classpath; returns process, port and token."""
    from py4j.java_gateway import find_jar_path
    from scienceworld.constants import BASEPATH, JAR_PATH

    classpath = os.pathsep.join((find_jar_path(), JAR_PATH))
    command = [java, heap, *JVM_OPTIONS, "-cp", classpath, "py4j.GatewayServer", "--die-on-broken-pipe", "--enable-auth", "0"]
    with tempfile.TemporaryFile() as complaints:
        # A process group of its own: Ctrl-C reaches this process, which then decides; the JVM still dies with it.
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=complaints, cwd=BASEPATH, process_group=0
        )
        try:
            port, token = int(process.stdout.readline()), process.stdout.readline().decode().strip()
        except ValueError:
            process.kill()
            process.communicate()
            complaints.seek(0)
            said = complaints.read().decode(errors="replace").strip()
            raise EnvError(f"The ScienceWorld JVM ({java}) did not start: {said or 'it said nothing'}.") from None
    return process, port, token


def _sendable(action: str) -> str:
    # py4j speaks UTF-8: a lone surrogate becomes "?", which no action holds.
    return action.encode("utf-8", "replace").decode("utf-8")
