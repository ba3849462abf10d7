"""The environment kit: does a TextEnvironment keep the contract that the rest of exprag relies on?

exprag validate env NAME                                  one command, for an installed plugin or an import path
exprag validate env NAME --split SPLIT                    the expert plays every task of a split and must win

class TestMine(EnvironmentConformance):                   one class, in your own test suite
    def make(self): return MyEnvironment()
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator

from exprag.contracts.environment import TextEnvironment
from exprag.testing.environment_checks import CHECKS
from exprag.testing.environment_episodes import check_task
from exprag.testing.kit import Conformance, Result, run_checks
from exprag.testing.subject import SEED, Subject


def check_environment(make: Callable[[], TextEnvironment], tasks: int = 2) -> Iterator[Result]:
    """Run every check, each on fresh environments; `tasks` of each split are played. A failed check stops no other."""
    return run_checks(CHECKS, Subject(make, tasks))


def check_split(
    make: Callable[[], TextEnvironment],
    split: str,
    types: Collection[str] | None = None,
    expert: str | None = None,
    seed: int | None = SEED,
) -> Iterator[Result]:
    """Let the expert (the default one if not named) play every task of a split, of the given types only, in one environment.

    A result for each task, named by its key, as soon as it is played: passed where the expert won. A task that breaks or is lost
    stops no other. Raises ConfigError for an unknown split or type.
    """
    with make() as environment:
        for task in environment.tasks(split, types):
            started = time.perf_counter()
            try:
                passed, detail = True, check_task(environment, task, expert, seed)
            except AssertionError as failure:
                passed, detail = False, str(failure)
            yield Result(task.key, passed, detail, time.perf_counter() - started)


class EnvironmentConformance(Conformance):
    """Subclass in a test suite, override `make`; pytest runs each check as a separate test."""

    checks = CHECKS
    tasks = 2

    def make(self) -> TextEnvironment:
        raise TypeError("Override make(): return your environment.")

    def subject(self) -> Subject:
        return Subject(self.make, self.tasks)
