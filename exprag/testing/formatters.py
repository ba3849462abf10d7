"""The formatter kit: does a Formatter keep the contract that the memory block and its readers rely on?

exprag validate formatter NAME                            one command

class TestMine(FormatterConformance):                     one class, in your own test suite
    def make(self): return MyFormatter()
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from exprag.contracts.formatter import Formatter, Transcript
from exprag.environments.sessions import first_difference
from exprag.errors import describe
from exprag.prompt.block import build_block, read_block
from exprag.testing.elsewhere import differs_elsewhere
from exprag.testing.fuzz import for_any_text, for_any_trajectory
from exprag.testing.kit import Check, Conformance, NotApplicable, Result, run_checks
from exprag.testing.material import ODD_TEXTS, candidates, odd, ordinary
from exprag.trajectory import EpisodeError, Provenance, Step, Trajectory

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
    text = formatter.format(subject.episodes[0])
    assert isinstance(text, str), f"format() must give text; it gave a {type(text).__name__}"
    return f"{len(text)} characters for an episode of {len(subject.episodes[0].steps)} steps"


def tells_episodes_apart(subject: FormatterSubject) -> str:
    """Task and actions are what an agent can learn from: where they differ, the text must."""
    formatter = subject.make()
    texts: dict[str, tuple[str, list[str]]] = {}
    for episode in subject.episodes:
        content = (episode.task.instruction, episode.actions)
        text = formatter.format(episode)
        assert text.strip(), f"the text of {episode.task.key} is blank: nothing can be learnt from it"
        assert texts.setdefault(text, content) == content, "two episodes with another task or other actions read the same"
    return f"{len(texts)} texts for {len(subject.episodes)} episodes"


def writes_every_trajectory(subject: FormatterSubject) -> str:
    formatter = subject.make()
    for episode in (*subject.episodes, *odd()):
        _written(formatter, episode)
    for_any_trajectory(lambda episode: _written(formatter, episode))
    return f"{len(subject.episodes) + len(odd())} trajectories, and as many more as hypothesis thought of"


def _written(formatter: Formatter, episode: Trajectory) -> str:
    try:
        text = formatter.format(episode)
    except (Exception, SystemExit) as error:
        raise AssertionError(f"format() raised on a valid trajectory: {describe(error)}") from error
    assert isinstance(text, str), f"format() must give text; it gave a {type(text).__name__}"
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise AssertionError("format() gave half a character (a lone surrogate), which no prompt can carry: escape it") from error
    return text


def is_deterministic(subject: FormatterSubject) -> str:
    one, other = subject.make(), subject.make()
    episodes = [*subject.episodes, *odd()]
    before = [episode.to_json() for episode in episodes]
    first = [one.format(episode) for episode in episodes]
    again = [other.format(episode) for episode in reversed(episodes)][::-1]
    for text, same in zip(first, again, strict=True):
        assert text == same, (
            "written again, by another object in another order, a trajectory reads differently: " + first_difference(text, same)
        )
    assert [episode.to_json() for episode in episodes] == before, "format() changed the metadata of a trajectory"
    return "another object in another order writes the same"


def leaves_the_outcome_out(subject: FormatterSubject) -> str:
    """Labels belong to the memory block, where they can be left out for everybody; other signs of the outcome count too."""
    formatter, episode = subject.make(), subject.episodes[0]
    broken = EpisodeError(boundary="environment", message="the simulator died")
    outcomes: tuple[dict[str, Any], ...] = (
        {"success": True, "score": 1.0, "ended": "terminated"},
        {"success": False, "score": 0.0, "ended": "truncated"},
        {"success": False, "score": -1.0, "ended": "error", "error": broken},
        {"success": None, "score": None, "ended": "gave_up"},
    )
    texts = {formatter.format(episode.model_copy(update={"id": "x", **outcome})) for outcome in outcomes}
    assert len(texts) == 1, "the text tells the outcome: labels belong to the memory block, not to the format"
    paid = [step.model_copy(update={"reward": 1.0}) for step in episode.steps]
    rewarded = formatter.format(episode.model_copy(update={"steps": tuple(paid)}))
    assert rewarded == formatter.format(episode), "the text tells rewards, and with them the outcome"
    whence = Provenance(run="another run", model="another model", seed=3)
    elsewhere = formatter.format(episode.model_copy(update={"provenance": whence, "fingerprint": "x", "id": "y"}))
    assert elsewhere == formatter.format(episode), "the text tells where the trajectory comes from: its id, run or model"
    return "won, lost, broken off and unknown read the same, wherever they come from"


def reads_back_what_it_writes(subject: FormatterSubject) -> str:
    """`parse` undoes `format` as far as the format goes: written again, what was read must give the same text."""
    formatter = subject.make()
    if formatter.parse(formatter.format(subject.episodes[0])) is None:
        own = type(formatter).parse is not Formatter.parse
        assert not own, "parse() is overridden, and gives None for a text of its own format"
        raise NotApplicable("it cannot be read back: parse() gives None")
    exact = [_read_back(formatter, episode) for episode in (*subject.episodes, *odd())]
    for_any_trajectory(lambda episode: _read_back(formatter, episode))
    return (
        "exactly, whatever the texts" if all(exact) else f"as it was written; exactly for {sum(exact)} of {len(exact)} episodes"
    )


def _read_back(formatter: Formatter, episode: Trajectory) -> bool:
    """Whether the episode itself was read back, and not less."""
    text = formatter.format(episode)
    read = formatter.parse(text)
    assert isinstance(read, Transcript), f"parse() did not know a text of its own format: {text[:80]!r}"
    _whole(read)
    turns = len(read.turns)
    assert turns == len(episode.steps), (
        f"{len(episode.steps)} steps were read back as {turns}: texts that look like the format itself must be escaped"
    )
    steps = tuple(Step(observation=observation, action=action) for observation, action in read.turns)
    task = episode.task.model_copy(update={"instruction": read.instruction})
    again = episode.model_copy(update={"task": task, "steps": steps, "final_observation": read.final_observation})
    rewritten = formatter.format(again)
    assert rewritten == text, f"what was read back is written differently: {first_difference(text, rewritten)}"
    turns_of_episode = tuple((step.observation, step.action) for step in episode.steps)
    return read == Transcript(episode.task.instruction, turns_of_episode, episode.final_observation)


def _whole(read: Transcript) -> None:
    texts = [read.instruction, read.final_observation, *(text for turn in read.turns for text in turn)]
    assert all(len(turn) == 2 for turn in read.turns), "the turns of a Transcript are (observation, action) pairs"
    assert all(isinstance(text, str) for text in texts), "a Transcript holds text; parse() gave something else"


def can_be_read_in_a_memory_block(subject: FormatterSubject) -> str:
    formatter = subject.make()
    episodes = [*subject.episodes[:3], *odd()]
    entries = read_block(build_block(candidates(episodes), formatter).text)
    assert len(entries) == len(episodes), f"{len(episodes)} trajectories were fenced, {len(entries)} were read again"
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


def writes_the_same_elsewhere(subject: FormatterSubject) -> str:
    number = differs_elsewhere(subject.make, [*subject.episodes, *odd()], _texts)
    assert number is None, "in another process a trajectory reads differently: let nothing depend on the order of a set or hash()"
    return "another process writes the same"


def _texts(formatter: Formatter, episodes: Sequence[Trajectory]) -> list[str]:
    return [formatter.format(episode) for episode in episodes]


CHECKS: tuple[Check, ...] = (
    describes_itself,
    tells_episodes_apart,
    writes_every_trajectory,
    is_deterministic,
    leaves_the_outcome_out,
    reads_back_what_it_writes,
    can_be_read_in_a_memory_block,
    passes_over_foreign_text,
    speed,
    writes_the_same_elsewhere,
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
