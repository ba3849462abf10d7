"""The chance of libraries that draw from Python's and NumPy's global generators, kept apart for each environment.

Inside `GlobalChance.playing` the global generators stand where this environment left them; outside they are as everybody else
knows them. So several environments in one process stay deterministic. Environments in threads take turns.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

_turn = threading.RLock()


class GlobalChance:
    """One environment's share of the global generators."""

    def __init__(self, seed: int = 0) -> None:
        self._python = random.Random(seed).getstate()
        self._numpy = np.random.RandomState(seed % 2**32).get_state()

    @contextmanager
    def playing(self) -> Iterator[None]:
        with _turn:
            python, numpy = random.getstate(), np.random.get_state()
            random.setstate(self._python)
            np.random.set_state(self._numpy)
            try:
                yield
            finally:
                self._python, self._numpy = random.getstate(), np.random.get_state()
                random.setstate(python)
                np.random.set_state(numpy)
