"""The environment kit: does a TextEnvironment keep the contract that the rest of exprag relies on?

exprag validate env NAME                                  one command, for an installed plugin or an import path

class TestMine(EnvironmentConformance):                   one class, in your own test suite
    def make(self): return MyEnvironment()
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from exprag.contracts.environment import TextEnvironment
from exprag.testing.environment_checks import CHECKS
from exprag.testing.kit import Conformance, Result, run_checks
from exprag.testing.subject import Subject


def check_environment(make: Callable[[], TextEnvironment], tasks: int = 2) -> Iterator[Result]:
    """Run every check, each on fresh environments; `tasks` of each split are played. A failed check stops no other."""
    return run_checks(CHECKS, Subject(make, tasks))


class EnvironmentConformance(Conformance):
    """Subclass in a test suite, override `make`; pytest runs each check as a test of its own."""

    checks = CHECKS
    tasks = 2

    def make(self) -> TextEnvironment:
        raise TypeError("Override make(): return your environment.")

    def subject(self) -> Subject:
        return Subject(self.make, self.tasks)
