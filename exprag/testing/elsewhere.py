"""The same answers in another process: Python hashes text differently in each, so whatever depends on the order of a set, or on
`hash`, differs. What one process stores in a bank would not be found by the next."""

from __future__ import annotations

import inspect
import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from functools import partial
from itertools import zip_longest
from typing import Any

from exprag.components import resolve
from exprag.testing.kit import NotApplicable
from exprag.trajectory import Trajectory

Answers = Callable[[Any, Sequence[Trajectory]], list[str]]
SECONDS = 300
_UNKNOWN = 3


def differs_elsewhere(make: Callable[[], Any], episodes: Sequence[Trajectory], answers: Answers) -> int | None:
    """The first of the answers that is another one in a new process; None where all are the same.

    `answers` is a function of a module: it is called with the plugin and the episodes, here and there. Raises NotApplicable
    where the factory cannot be handed over (a lambda, a class within a function or a script).
    """
    here = answers(make(), episodes)
    lines = [episode.to_json() for episode in episodes]
    payload = json.dumps({"make": _describe(make), "answers": _describe(answers), "episodes": lines})
    seed = "1" if os.environ.get("PYTHONHASHSEED") != "1" else "2"
    environment = os.environ | {"PYTHONHASHSEED": seed, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = [sys.executable, "-c", "from exprag.testing.elsewhere import answer; answer()"]
    process = subprocess.run(command, input=payload.encode(), env=environment, capture_output=True, timeout=SECONDS, check=False)
    if process.returncode == _UNKNOWN:
        raise NotApplicable("its module cannot be imported in another process")
    assert process.returncode == 0, f"in another process it failed: {process.stderr.decode(errors='replace').strip()[-300:]}"
    there = json.loads(process.stdout.splitlines()[-1])
    return next((number for number, (one, other) in enumerate(zip_longest(here, there)) if one != other), None)


def answer() -> None:
    """The other process: reads what `differs_elsewhere` sends, and prints the answers as one line of JSON."""
    payload = json.load(sys.stdin)
    try:
        make, answers = _load(payload["make"]), _load(payload["answers"])
    except (ImportError, AttributeError):
        sys.exit(_UNKNOWN)
    print()
    print(json.dumps(answers(make(), [Trajectory.from_json(line) for line in payload["episodes"]])))


def _describe(function: Callable[..., Any]) -> dict[str, Any]:
    """A function, a class, a kit's own method, or a `partial` of one, as plain JSON. Raises NotApplicable for others."""
    whole = function if isinstance(function, partial) else partial(function)
    owner = type(whole.func.__self__) if inspect.ismethod(whole.func) else None
    path = f"{getattr(owner or whole.func, '__module__', '')}:{getattr(owner or whole.func, '__qualname__', '<')}"
    method = whole.func.__name__ if owner else ""
    about = {"path": path, "method": method, "args": list(whole.args), "options": whole.keywords}
    try:
        own = resolve(path) is (owner or whole.func) and not path.startswith("__main__:")
        if own and json.loads(json.dumps(about)) == about:
            return about
    except (ImportError, AttributeError, TypeError, ValueError):
        pass
    raise NotApplicable("its factory cannot be handed to another process: make it a function or class of a module")


def _load(about: dict[str, Any]) -> Callable[..., Any]:
    function = resolve(about["path"])
    return partial(getattr(function(), about["method"]) if about["method"] else function, *about["args"], **about["options"])
