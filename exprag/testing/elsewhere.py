"""The same answers in another process: Python hashes text differently in each, so whatever depends on the order of a set, or on
`hash`, differs. What one process stores in a bank would not be found by the next."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
from collections.abc import Callable, Sequence
from typing import Any

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
    try:
        payload = pickle.dumps((make, answers, [episode.to_json() for episode in episodes]))
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise NotApplicable("its factory cannot be handed to another process: make it a function or class of a module") from error
    seed = "1" if os.environ.get("PYTHONHASHSEED") != "1" else "2"
    environment = os.environ | {"PYTHONHASHSEED": seed, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = [sys.executable, "-c", "from exprag.testing.elsewhere import answer; answer()"]
    process = subprocess.run(command, input=payload, env=environment, capture_output=True, timeout=SECONDS, check=False)
    if process.returncode == _UNKNOWN:
        raise NotApplicable("its module cannot be imported in another process")
    assert process.returncode == 0, f"in another process it failed: {process.stderr.decode(errors='replace').strip()[-300:]}"
    there = json.loads(process.stdout.splitlines()[-1])
    return next((number for number, (one, other) in enumerate(zip(here, there, strict=True)) if one != other), None)


def answer() -> None:
    """The other process: reads what `differs_elsewhere` sends, and prints the answers as one line of JSON."""
    try:
        make, answers, lines = pickle.load(sys.stdin.buffer)  # from the process that started this one
    except (ImportError, AttributeError):
        sys.exit(_UNKNOWN)
    print()
    print(json.dumps(answers(make(), [Trajectory.from_json(line) for line in lines])))
