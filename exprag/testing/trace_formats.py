"""The trace format kit: does a TraceFormat keep the contract that imports and exports rely on?

exprag validate trace-format NAME                         one command

class TestMine(TraceFormatConformance):                   one class, in your own test suite
    def make(self): return MyFormat()
    rows = [{"log": "…"}]                                 rows of your format that must be read
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from exprag.contracts.trace_format import Place, TraceFormat
from exprag.errors import ConfigError, RecordError, describe
from exprag.testing.fuzz import for_any_text, for_any_trajectory
from exprag.testing.kit import Check, Conformance, NotApplicable, Result, run_checks
from exprag.testing.material import ODD_TEXTS, odd, ordinary
from exprag.trajectory import Trajectory

FOREIGN: tuple[Any, ...] = (
    *(None, True, 1, -0.5, "", "text", [], {}, [[]], [{}], {"": None}),
    *({"task": 1}, {"steps": 1}, {"messages": "x"}, {"log": []}, {"steps": [None]}, {"messages": [{"role": 1}]}),
)
PLACE = Place("file.jsonl", 3, "key", "somewhere")


@dataclass
class TraceFormatSubject:
    """What is examined: a factory of the format, rows that it must read, and the episodes that it writes."""

    make: Callable[[], TraceFormat]
    rows: Sequence[Any] = ()
    episodes: Sequence[Trajectory] = field(default_factory=ordinary)


def reads_its_own_rows(subject: TraceFormatSubject) -> str:
    format = subject.make()
    assert isinstance(format, TraceFormat), f"make() gave a {type(format).__name__}, not a TraceFormat"
    if not subject.rows:
        raise NotApplicable("no rows were given")
    for row in subject.rows:
        assert format.recognise(row), f"recognise() does not know its own row {str(row)[:60]}"
        parts = list(format.parts(row))
        assert parts, f"parts() gives nothing for its own row {str(row)[:60]}"
        for _, part in parts:
            run = format.read(part, PLACE)
            assert isinstance(run, Trajectory), f"read() must give a Trajectory; it gave a {type(run).__name__}"
            assert format.read(part, PLACE) == run, "read again, a row gives another trajectory"
    return f"{len(subject.rows)} rows"


def refuses_what_does_not_fit(subject: TraceFormatSubject) -> str:
    """A file may hold anything: a row is a trajectory or a RecordError."""
    format = subject.make()
    texts = [*ODD_TEXTS, *({"messages": [{"role": "user", "content": text}]} for text in ODD_TEXTS)]
    for row in (*FOREIGN, *texts):
        _try(format, row)
    for_any_text(lambda text: _try(format, {"log": text, "text": text, "steps": [text], "messages": [{"role": text}]}))
    return f"{len(FOREIGN) + len(texts)} foreign rows, and as many more as hypothesis thought of"


def _try(format: TraceFormat, row: Any) -> None:
    answer = _called("recognise", lambda: format.recognise(row))
    assert isinstance(answer, bool), f"recognise() must give True or False, not a {type(answer).__name__}"
    parts = _called("parts", lambda: list(format.parts(row)))
    for _, part in parts or ():
        run = _called("read", lambda: format.read(part, PLACE))  # noqa: B023
        assert run is None or isinstance(run, Trajectory), f"read() must give a Trajectory; it gave a {type(run).__name__}"


def _called(name: str, call: Callable[[], Any]) -> Any:
    try:
        return call()
    except RecordError:
        assert name == "read", f"{name}() raised a RecordError: only read() may"
        return None
    except Exception as error:
        raise AssertionError(f"{name}() raised on a foreign row: {describe(error)}") from error


def writes_what_it_reads(subject: TraceFormatSubject) -> str:
    format = subject.make()
    if type(format).write is TraceFormat.write:
        raise NotApplicable("it can only be read")
    episodes = [*subject.episodes, *odd()]
    exact = [_written(format, episode) for episode in episodes]
    for_any_trajectory(lambda episode: _written(format, episode))
    if not all(exact):
        assert format.losses, "what is read back is not what was written: say in `losses` what is lost"
        return f"{sum(exact)} of {len(exact)} come back as they were; lost: {'; '.join(format.losses)}"
    return f"{len(exact)} trajectories come back as they were"


def _written(format: TraceFormat, episode: Trajectory) -> bool:
    """Whether the trajectory itself comes back."""
    try:
        row = json.loads(json.dumps(format.write(episode), allow_nan=False))
    except (ConfigError, TypeError, ValueError) as error:
        raise AssertionError(f"write() must give plain JSON data for every trajectory: {describe(error)}") from error
    assert format.recognise(row), "recognise() does not know what write() wrote"
    runs = [format.read(part, PLACE) for _, part in format.parts(row)]
    assert len(runs) == 1, f"a trajectory that was written is read as {len(runs)}"
    return runs[0] == episode


CHECKS: tuple[Check, ...] = (reads_its_own_rows, refuses_what_does_not_fit, writes_what_it_reads)


def check_trace_format(make: Callable[[], TraceFormat], rows: Sequence[Any] = ()) -> Iterator[Result]:
    """Run every check, with these rows of the format. A failed check stops no other."""
    return run_checks(CHECKS, TraceFormatSubject(make, rows))


class TraceFormatConformance(Conformance):
    """Subclass in a test suite, override `make` and give `rows`; pytest runs each check as a test of its own."""

    checks = CHECKS
    rows: Sequence[Any] = ()

    def make(self) -> TraceFormat:
        raise TypeError("Override make(): return your trace format.")

    def subject(self) -> TraceFormatSubject:
        return TraceFormatSubject(self.make, self.rows)
