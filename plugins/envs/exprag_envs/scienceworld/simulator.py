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
import functools
import logging
import os
import re
import subprocess
import tempfile
import weakref
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
    "--add-opens=java.base/java.util=ALL-UNNAMED",  # for `_chance`
)
SCRAMBLE = 0x5DEECE66D  # java.util.Random.setSeed(s) makes the state s ^ SCRAMBLE, by its documentation
PATIENCE = 5.0  # seconds for a JVM to end by itself


class Reply(NamedTuple):
    """What one step gave: text, score in -100..100, whether the simulator calls the task over, simulated moves so far."""

    text: str
    score: int
    completed: bool
    moves: int


class Simulator:
    """A running ScienceWorld JVM with one simulator in it. `heap` as Java writes it: "512m"."""

    def __init__(self, heap: str = "512m") -> None:
        from py4j.java_gateway import GatewayParameters, JavaGateway

        _hush_py4j()
        self._process, port, token = _start_jvm(need_java(), f"-Xmx{need_heap(heap)}")
        self._end_process = weakref.finalize(self, _end, self._process)  # also when this process exits
        self._gateway = JavaGateway(gateway_parameters=GatewayParameters(port=port, auth_token=token))
        self._agent: Any = None
        with self._guarded("start"):
            jvm = self._gateway.jvm
            jvm.java.lang.System.setOut(jvm.java.io.PrintStream(os.devnull))
            self._server = jvm.scienceworld.runtime.pythonapi.PythonInterface()
            self._join = jvm.java.lang.String.join
            self._chance, self._chance_state = _random_generator(jvm)

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
        """End the JVM and wait for it, so that no zombie stays. Idempotent."""
        self._agent = self._server = self._chance = self._chance_state = None
        self._gateway.shutdown()  # never raises
        self._end_process()

    @contextlib.contextmanager
    def _guarded(self, what: str) -> Iterator[None]:
        from py4j.protocol import Py4JError, Py4JJavaError

        try:
            yield
        except Py4JJavaError as error:  # the simulator raised, the JVM lives
            reason = error.java_exception.toString()
            raise EnvError(f"ScienceWorld could not {what}: {reason}.", cure="The next reset is unharmed.") from error
        except (Py4JError, OSError) as error:  # the connection broke: the JVM is ending or has ended
            self._end_process()
            raise EnvError(
                f"The ScienceWorld JVM died (exit code {self._process.returncode}): it could not {what}.",
                cure="The next reset starts a new one.",
            ) from error


def _random_generator(jvm: Any) -> tuple[Any, Any]:
    """The one random generator that all of the simulator draws from (a java.util.Random), and the field of its state."""
    field = jvm.java.lang.Class.forName("java.util.Random").getDeclaredField("seed")
    field.setAccessible(True)
    return getattr(getattr(jvm.scala.util, "Random$"), "MODULE$").self(), field


def need_heap(heap: str) -> str:
    """`heap` as it came. Raises ConfigError where Java would not read it."""
    if not re.fullmatch(r"[1-9]\d*[kmgKMG]", heap):
        raise ConfigError(f"heap={heap!r} is not a Java memory size.", cure='Give a number and a unit: "512m" or "1g".')
    return heap


def _start_jvm(java: str, heap: str) -> tuple[Any, int, str]:
    """Start a py4j gateway with the simulator on its classpath; returns process, port and token."""
    from py4j.java_gateway import find_jar_path
    from scienceworld.constants import BASEPATH, JAR_PATH

    classpath = os.pathsep.join((find_jar_path(), JAR_PATH))
    command = [java, heap, *JVM_OPTIONS, "-cp", classpath, "py4j.GatewayServer", "--die-on-broken-pipe", "--enable-auth", "0"]
    with tempfile.TemporaryFile() as complaints:
        # Its own process group: Ctrl-C reaches this process, which then decides; the JVM still dies with it.
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=complaints, cwd=BASEPATH, process_group=0
        )
        assert process.stdout is not None
        try:
            port, token = int(process.stdout.readline()), process.stdout.readline().decode().strip()
        except ValueError:
            process.kill()
            process.communicate()
            complaints.seek(0)
            output = complaints.read().decode(errors="replace").strip()
            raise EnvError(f"The ScienceWorld JVM ({java}) did not start: {output or 'it said nothing'}.") from None
    return process, port, token


def _sendable(action: str) -> str:
    # py4j speaks UTF-8: a lone surrogate becomes "?", which no action holds.
    return action.encode("utf-8", "replace").decode("utf-8")


def _end(process: subprocess.Popen[bytes]) -> None:
    for pipe in (process.stdin, process.stdout):
        with contextlib.suppress(OSError):
            pipe.close()  # type: ignore[union-attr]  # the gateway ends when its stdin does
    try:
        process.wait(PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


@functools.cache
def _hush_py4j() -> None:
    # A JVM's death is told as an EnvError; py4j besides logs whole tracebacks for it, some of them to the root logger.
    logging.getLogger("py4j").setLevel(logging.CRITICAL)
    logging.getLogger().addFilter(lambda record: "py4j" not in record.pathname)
