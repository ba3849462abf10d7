"""The distiller kit: does a Distiller keep the contract that banks and pipelines rely on?

exprag validate distiller NAME [--bank BANK]              one command; with a bank, over its episodes

class TestMine(DistillerConformance):                     one class, in your own test suite
    def make(self): return MyDistiller()
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from exprag.contracts.distiller import Distillate, Distiller, Refusal
from exprag.items import Item, join
from exprag.testing.elsewhere import differs_elsewhere
from exprag.testing.kit import Check, Conformance, NotApplicable, Result, run_checks
from exprag.testing.material import odd, ordinary
from exprag.trajectory import Trajectory

READS = ("failures", "successes", "all")


@dataclass
class DistillerSubject:
    """What is examined: a factory of the distiller, and the episodes that it is given."""

    make: Callable[[], Distiller]
    episodes: Sequence[Trajectory] = field(default_factory=ordinary)

    def groups(self, distiller: Distiller) -> Iterator[tuple[list[Trajectory], list[Trajectory]]]:
        """The episodes of each call, as a pipeline gives them, and those to compare with."""
        yield from groups(distiller, self.episodes)


def groups(distiller: Distiller, episodes: Sequence[Trajectory]) -> Iterator[tuple[list[Trajectory], list[Trajectory]]]:
    """(episodes, others) of each call: one episode at a time, or all of a type where the distiller reads them together."""
    fits = {"failures": lambda e: e.success is False, "successes": lambda e: e.success is True, "all": lambda _: True}
    material = [episode for episode in episodes if fits[distiller.reads](episode)]
    types = dict.fromkeys(episode.task.type for episode in material)
    parts = [[e for e in material if e.task.type == type_] for type_ in types] if distiller.together else [[e] for e in material]
    for part in parts:
        ids = {episode.id for episode in part}
        yield part, [e for e in episodes if e.task.type == part[0].task.type and e.id not in ids]


def describes_itself(subject: DistillerSubject) -> str:
    distiller = subject.make()
    assert isinstance(distiller, Distiller), f"make() gave a {type(distiller).__name__}, not a Distiller"
    assert isinstance(distiller.kind, str), "kind must be a word: hint, insight, workflow …"
    assert distiller.kind.strip(), "kind must be a word: hint, insight, workflow …"
    assert distiller.reads in READS, f"reads is one of {', '.join(READS)}; not {distiller.reads!r}"
    assert isinstance(distiller.together, bool), "together is True or False"
    return f"items of the kind {distiller.kind!r}, of {distiller.reads}"


def gives_items_or_says_why_not(subject: DistillerSubject) -> str:
    distiller, items, refusals = subject.make(), 0, 0
    for part, others in subject.groups(distiller):
        distillate = distiller.distill(part, others)
        _agrees(distillate, distiller, part)
        assert distillate.items or distillate.refusals, "of some episodes it gave neither an item nor a refusal with the reason"
        items, refusals = items + len(distillate.items), refusals + len(distillate.refusals)
    return f"{items} items and {refusals} refusals"


def _agrees(distillate: Distillate, distiller: Distiller, episodes: Sequence[Trajectory]) -> None:
    assert isinstance(distillate, Distillate), f"distill() must give a Distillate; it gave a {type(distillate).__name__}"
    ids = {episode.id for episode in episodes}
    for item in distillate.items:
        assert isinstance(item, Item), f"items must be Item records; one is a {type(item).__name__}"
        assert item.kind == distiller.kind, f"an item is of the kind {item.kind!r}; the distiller's is {distiller.kind!r}"
        assert item.text.strip(), "an item has no text"
        assert item.sources, f"the item {item.text[:40]!r} does not say which episodes it comes from"
        origin = {source.episode for source in item.sources}
        assert origin <= ids, f"the item {item.text[:40]!r} names other episodes as its origin"
        assert item.distiller, f"the item {item.text[:40]!r} does not say which distiller wrote it"
        assert item.environment == episodes[0].task.environment, "an item must name the environment of its episodes"
    for refusal in distillate.refusals:
        assert isinstance(refusal, Refusal), f"refusals must be Refusal records; one is a {type(refusal).__name__}"
        assert refusal.reason.strip(), "a refusal must say why"


def takes_odd_episodes(subject: DistillerSubject) -> str:
    distiller = subject.make()
    for episode in odd():
        _agrees(distiller.distill([episode]), distiller, [episode])
    _agrees(distiller.distill(odd(), ordinary()), distiller, odd())
    return f"{len(odd())} without steps, without texts, hostile"


def takes_nothing(subject: DistillerSubject) -> str:
    distillate = subject.make().distill([])
    assert not distillate.items, "of no episodes it made items"
    return "no episodes give no items"


def survives_joining(subject: DistillerSubject) -> str:
    distiller = subject.make()
    items = [item for part, others in subject.groups(distiller) for item in distiller.distill(part, others).items]
    if not items:
        raise NotApplicable("it writes nothing from these episodes")
    once = join(items)
    again = join([*once, *items])
    assert [item.id for item in again] == [item.id for item in once], "joined a second time, its items are others"
    return f"{len(items)} items are {len(once)} without near-duplicates"


def leaves_the_episodes_alone(subject: DistillerSubject) -> str:
    distiller, episodes = subject.make(), list(subject.episodes)
    before = [episode.to_json() for episode in episodes]
    distiller.distill(episodes[:4], episodes[4:])
    assert [episode.to_json() for episode in episodes] == before, "distill() changed the metadata of an episode"
    return "the episodes stay as they were"


def speed(subject: DistillerSubject) -> str:
    distiller = subject.make()
    started = time.perf_counter()
    count = 0
    for part, others in subject.groups(distiller):
        distiller.distill(part, others)
        count += len(part)
    return f"{1000 * (time.perf_counter() - started) / max(count, 1):.2f} ms for an episode"


def writes_the_same_elsewhere(subject: DistillerSubject) -> str:
    number = differs_elsewhere(subject.make, subject.episodes, _texts)
    assert number is None, "another process writes other items: nothing may depend on the order of a set, or on hash()"
    return "another process writes the same"


def _texts(distiller: Distiller, episodes: Sequence[Trajectory]) -> list[str]:
    parts = groups(distiller, episodes)
    return [item.id + item.text for part, others in parts for item in distiller.distill(part, others).items]


CHECKS: tuple[Check, ...] = (
    describes_itself,
    gives_items_or_says_why_not,
    takes_odd_episodes,
    takes_nothing,
    survives_joining,
    leaves_the_episodes_alone,
    speed,
    writes_the_same_elsewhere,
)


def check_distiller(make: Callable[[], Distiller], episodes: Sequence[Trajectory] = ()) -> Iterator[Result]:
    """Run every check, with these episodes or made-up ones. A failed check stops no other."""
    return run_checks(CHECKS, DistillerSubject(make, episodes or ordinary()))


class DistillerConformance(Conformance):
    """Subclass in a test suite, override `make`; pytest runs each check as a test of its own."""

    checks = CHECKS

    def make(self) -> Distiller:
        raise TypeError("Override make(): return your distiller.")

    def episodes(self) -> Sequence[Trajectory]:
        """The episodes that it writes from: override to examine it with your own."""
        return ordinary()

    def subject(self) -> DistillerSubject:
        return DistillerSubject(self.make, self.episodes())
