"""The formatter kit: does a Formatter keep the contract that the memory block and its readers rely on?

exprag validate formatter NAME                            one command

class TestMine(FormatterConformance):                     one class, in your own test suite
    def make(self): return MyFormatter()
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from exprag.contracts.formatter import Formatter, Transcript
from exprag.prompt.block import build_block, read_block
from exprag.testing.fuzz import for_any_text, for_any_trajectory
from exprag.testing.kit import Check, Conformance, NotApplicable, Result, run_checks
from exprag.testing.material import ODD_TEXTS, candidates, odd, ordinary
from exprag.trajectory import Step, Trajectory

FOREIGN = (
    "",
    "null",
    "{}",
    "[]",
    "[1, 2]",
    '[{"role": "user", "content": "x"}]',
    "Once upon a time\nthere was a mug.",
    "[" * 10_000,
)


@dataclass
class FormatterSubject:
    """What is examined: a factory of the formatter, and the episodes that it writes."""

    make: Callable[[], Formatter]
    episodes: Sequence[Trajectory] = field(default_factory=ordinary)


def describes_itself(subject: FormatterSubject) -> str:
    formatter = subject.make()
    assert isinstance(formatter, Formatter), f"make() gave a {type(formatter).__name__}, not a Formatter"
    written = formatter.format(subject.episodes[0])
    assert isinstance(written, str), f"format() must give text; it gave a {type(written).__name__}"
    return f"{len(written)} characters for an episode of {len(subject.episodes[0].steps)} steps"


def writes_every_trajectory(subject: FormatterSubject) -> str:
    formatter = subject.make()
    for episode in (*subject.episodes, *odd()):
        _written(formatter, episode)
    for_any_trajectory(lambda episode: _written(formatter, episode))
    return f"{len(subject.episodes) + len(odd())} trajectories, and as many more as hypothesis thought of"


def _written(formatter: Formatter, episode: Trajectory) -> str:
    try:
        written = formatter.format(episode)
    except Exception as error:
        raise AssertionError(f"format() raised {type(error).__name__} on a valid trajectory: {error}") from error
    assert isinstance(written, str), f"format() must give text; it gave a {type(written).__name__}"
    try:
        written.encode("utf-8")
    except UnicodeEncodeError as error:
        raise AssertionError("format() gave half a character (a lone surrogate), which no prompt can carry: escape it") from error
    return written


def is_deterministic(subject: FormatterSubject) -> str:
    one, other = subject.make(), subject.make()
    episodes = [*subject.episodes, *odd()]
    first = [one.format(episode) for episode in episodes]
    again = [other.format(episode) for episode in reversed(episodes)][::-1]
    assert first == again, "written again, by another object in another order, a trajectory reads differently"
    return "another object in another order writes the same"


def leaves_the_outcome_out(subject: FormatterSubject) -> str:
    """Labels belong to the memory block, where they can be left out for everybody."""
    formatter, episode = subject.make(), subject.episodes[0]
    outcomes = ({"success": True, "score": 1.0}, {"success": False, "score": 0.0}, {"success": None, "score": None})
    written = {formatter.format(episode.model_copy(update={"id": "x", **outcome})) for outcome in outcomes}
    assert len(written) == 1, "the text tells the outcome: labels belong to the memory block, not to the format"
    return "won, lost and unknown read the same"


def reads_back_what_it_writes(subject: FormatterSubject) -> str:
    """`parse` undoes `format` as far as the format goes: written again, what was read must give the same text."""
    formatter = subject.make()
    if formatter.parse(formatter.format(subject.episodes[0])) is None:
        raise NotApplicable("it cannot be read back: parse() gives None")
    exact = [_read_back(formatter, episode) for episode in (*subject.episodes, *odd())]
    for_any_trajectory(lambda episode: _read_back(formatter, episode))
    return (
        "exactly, whatever the texts" if all(exact) else f"as it was written; exactly for {sum(exact)} of {len(exact)} episodes"
    )


def _read_back(formatter: Formatter, episode: Trajectory) -> bool:
    """Whether the episode itself was read back, and not less."""
    written = formatter.format(episode)
    read = formatter.parse(written)
    assert isinstance(read, Transcript), f"parse() did not know a text of its own format: {written[:80]!r}"
    turns = len(read.turns)
    assert turns == len(episode.steps), (
        f"{len(episode.steps)} steps were read back as {turns}: texts that look like the format itself must be escaped"
    )
    steps = tuple(Step(observation=seen, action=done) for seen, done in read.turns)
    task = episode.task.model_copy(update={"instruction": read.instruction})
    again = episode.model_copy(update={"task": task, "steps": steps, "final_observation": read.final_observation})
    assert formatter.format(again) == written, f"what was read back is written differently: {written[:80]!r}"
    told = tuple((step.observation, step.action) for step in episode.steps)
    return read == Transcript(episode.task.instruction, told, episode.final_observation)


def can_be_read_in_a_memory_block(subject: FormatterSubject) -> str:
    formatter = subject.make()
    episodes = [*subject.episodes[:3], *odd()]
    entries = read_block(build_block(candidates(episodes), formatter).text)
    assert len(entries) == len(episodes), f"{len(episodes)} trajectories were fenced, {len(entries)} were found again"
    if formatter.parse(formatter.format(subject.episodes[0])) is None:
        return f"{len(entries)} entries, fenced and defused"
    for episode, entry in zip(episodes, entries, strict=True):
        read = formatter.parse(entry.body)
        assert read is not None, f"fenced and defused, its text is not known to parse() any more: {entry.body[:80]!r}"
        assert len(read.turns) == len(episode.steps), "fenced and defused, it reads as another number of steps"
    return f"{len(entries)} entries, fenced, defused and read back"


def passes_over_foreign_text(subject: FormatterSubject) -> str:
    """Readers try one format after the other: whoever takes a foreign text for its own is in their way."""
    formatter = subject.make()
    for text in FOREIGN:
        assert _parsed(formatter, text) is None, f"parse() took a text that it did not write for its own: {text[:40]!r}"
    for text in ODD_TEXTS:
        _parsed(formatter, text)
    for_any_text(lambda text: _parsed(formatter, text))
    return f"{len(FOREIGN)} foreign texts; none makes it raise"


def _parsed(formatter: Formatter, text: str) -> Transcript | None:
    try:
        read = formatter.parse(text)
    except Exception as error:
        raise AssertionError(
            f"parse() must give None for foreign text; on {text[:40]!r} it raised {type(error).__name__}"
        ) from error
    assert read is None or isinstance(read, Transcript), f"parse() must give a Transcript or None, not a {type(read).__name__}"
    return read


def speed(subject: FormatterSubject) -> str:
    formatter, episode = subject.make(), max(subject.episodes, key=lambda e: len(e.steps))
    started = time.perf_counter()
    formatter.format(episode)
    return f"{1000 * (time.perf_counter() - started):.2f} ms for {len(episode.steps)} steps"


CHECKS: tuple[Check, ...] = (
    describes_itself,
    writes_every_trajectory,
    is_deterministic,
    leaves_the_outcome_out,
    reads_back_what_it_writes,
    can_be_read_in_a_memory_block,
    passes_over_foreign_text,
    speed,
)


def check_formatter(make: Callable[[], Formatter], episodes: Sequence[Trajectory] = ()) -> Iterator[Result]:
    """Run every check, with these episodes or made-up ones. A failed check stops no other."""
    return run_checks(CHECKS, FormatterSubject(make, episodes or ordinary()))


class FormatterConformance(Conformance):
    """Subclass in a test suite, override `make`; pytest runs each check as a test of its own."""

    checks = CHECKS

    def make(self) -> Formatter:
        raise TypeError("Override make(): return your formatter.")

    def subject(self) -> FormatterSubject:
        return FormatterSubject(self.make)
