"""The environment kit: does a TextEnvironment keep the contract that the rest of exprag relies on?

    exprag validate env NAME                                  one command, for an installed plugin or an import path

    class TestMine(EnvironmentConformance):                   one class, in your own test suite
        def make(self): return MyEnvironment()
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from exprag.environment import TextEnvironment
from exprag.errors import ExpragError
from exprag.testing.environment_checks import CHECKS
from exprag.testing.subject import NotApplicable, Subject


@dataclass(frozen=True)
class Result:
    """One check: passed, failed, or None where it does not apply. `detail` says what was seen or expected."""

    name: str
    passed: bool | None
    detail: str
    seconds: float


def check_environment(make: Callable[[], TextEnvironment], tasks: int = 2) -> Iterator[Result]:
    """Run every check, each on fresh environments; `tasks` of each split are played. A failed check stops no other."""
    subject = Subject(make, tasks)
    for check in CHECKS:
        started = time.perf_counter()
        passed: bool | None
        try:
            passed, detail = True, check(subject)
        except NotApplicable as reason:
            passed, detail = None, str(reason)
        except AssertionError as failure:
            passed, detail = False, str(failure).splitlines()[0] if str(failure) else "an assertion failed"
        except ExpragError as error:
            passed, detail = False, f"{error.boundary}: {error}"
        except Exception as error:  # noqa: BLE001 - whatever a third party's environment raises is a result
            passed, detail = False, f"{type(error).__name__}: {error}"
        yield Result(check.__name__.replace("_", " "), passed, detail, time.perf_counter() - started)


class EnvironmentConformance:
    """Subclass in a test suite, override `make`; pytest runs each check as a test of its own."""

    tasks = 2

    def make(self) -> TextEnvironment:
        raise TypeError("Override make(): return your environment.")

    def pytest_generate_tests(self, metafunc: Any) -> None:
        if "conformance_check" in metafunc.fixturenames:
            metafunc.parametrize("conformance_check", CHECKS, ids=[check.__name__ for check in CHECKS])

    def test_conformance(self, conformance_check: Callable[[Subject], str]) -> None:
        try:
            conformance_check(Subject(self.make, self.tasks))
        except NotApplicable as reason:
            import pytest

            pytest.skip(str(reason))
