"""What all conformance kits share: a check is a function of a subject that says what it saw, or raises AssertionError saying
what is expected; a kit runs its checks as results, or as the tests of one class."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from exprag.errors import ExpragError, describe

Check = Callable[[Any], str]


class NotApplicable(Exception):
    """A check that has nothing to examine in this plugin."""


@dataclass(frozen=True)
class Result:
    """One check: passed, failed, or None where it does not apply. `detail` says what was seen or expected."""

    name: str
    passed: bool | None
    detail: str
    seconds: float
    traceback: str = ""
    """Of what the plugin raised; "" where it raised nothing."""


def run_checks(checks: Iterable[Check], subject: Any) -> Iterator[Result]:
    """Run every check; a failed one stops no other."""
    for check in checks:
        started = time.perf_counter()
        passed: bool | None
        trace = ""
        try:
            passed, detail = True, check(subject)
        except NotApplicable as reason:
            passed, detail = None, str(reason)
        except AssertionError as failure:
            passed, detail = False, str(failure).splitlines()[0] if str(failure) else "an assertion failed"
            trace = _trace(failure.__cause__)
        except ExpragError as error:
            passed, detail, trace = False, f"{error.boundary}: {error}", _trace(error)
        except (Exception, SystemExit, GeneratorExit) as error:  # noqa: BLE001 - whatever a third party's plugin raises is a result
            passed, detail, trace = False, describe(error).removesuffix("."), _trace(error)
        yield Result(check.__name__.replace("_", " "), passed, detail, time.perf_counter() - started, trace)


def _trace(error: BaseException | None) -> str:
    return "".join(traceback.format_exception(error)) if error is not None else ""


class Conformance:
    """Subclass a kit's class in a test suite and override `make`; pytest runs each check as a test of its own."""

    checks: tuple[Check, ...] = ()

    def make(self) -> Any:
        raise TypeError("Override make(): return a new object of your plugin.")

    def subject(self) -> Any:
        """What the checks examine, made from `make`."""
        raise NotImplementedError

    def pytest_generate_tests(self, metafunc: Any) -> None:
        if "conformance_check" in metafunc.fixturenames:
            checks = self.checks
            metafunc.parametrize("conformance_check", checks, ids=[check.__name__ for check in checks])

    def test_conformance(self, conformance_check: Check) -> None:
        try:
            conformance_check(self.subject())
        except NotApplicable as reason:
            import pytest

            pytest.skip(str(reason))
