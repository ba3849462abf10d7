"""The selector kit: does a Selector keep the contract that the retriever relies on?

exprag validate selector NAME [--bank BANK]               one command; with a bank, over its episodes

class TestMine(SelectorConformance):                      one class, in your own test suite
    def make(self): return MySelector()
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from exprag.contracts.query_strategy import Moment
from exprag.contracts.selector import Candidate, Selector
from exprag.testing.elsewhere import differs_elsewhere
from exprag.testing.kit import Check, Conformance, Result, run_checks
from exprag.testing.material import candidates, moments, odd, ordinary
from exprag.trajectory import Trajectory

SIZES = (1, 2, 4)
POOL = 1000  # candidates for each place, at most


@dataclass
class SelectorSubject:
    """What is examined: a factory of the selector, and the episodes that are its candidates."""

    make: Callable[[], Selector]
    episodes: Sequence[Trajectory] = field(default_factory=ordinary)

    @property
    def moment(self) -> Moment:
        return moments(self.episodes[0])[0]

    def pool(self) -> list[Candidate]:
        return candidates(self.episodes)


def describes_itself(subject: SelectorSubject) -> str:
    selector = subject.make()
    assert isinstance(selector, Selector), f"make() gave a {type(selector).__name__}, not a Selector"
    sizes = {k: selector.pool(k) for k in (*SIZES, 8)}
    for k, size in sizes.items():
        whole = isinstance(size, int) and not isinstance(size, bool)
        assert whole, f"pool({k}) must be a whole number; it gave {size!r}"
        assert size >= k, f"pool({k}) gave {size}: to keep {k}, at least {k} candidates must be asked for"
        assert size <= POOL * k, f"pool({k}) gave {size}: the bank would read most of its rows at each search"
    return ", ".join(f"{size} candidates to keep {k}" for k, size in sizes.items())


def keeps_some_of_the_pool(subject: SelectorSubject) -> str:
    selector, pool, most = subject.make(), subject.pool(), 0
    for k in SIZES:
        selection = selector.select(pool, k, subject.moment)
        _agrees(selection, pool, k)
        most = max(most, len(selection))
    assert most, f"of {len(pool)} candidates with every outcome and type nothing was kept"
    return f"{most} of {len(pool)} at most, for {SIZES[-1]} places"


def _agrees(selection: list[Candidate], pool: Sequence[Candidate], k: int) -> None:
    assert isinstance(selection, list | tuple), f"select() must give a list; it gave a {type(selection).__name__}"
    assert all(isinstance(c, Candidate) for c in selection), "select() must give candidates"
    assert len(selection) <= k, f"select() kept {len(selection)} candidates for {k} places"
    originals = {c.trajectory.id: c for c in pool}
    ids = [c.trajectory.id for c in selection]
    assert len(set(ids)) == len(ids), "select() kept a trajectory twice"
    assert set(ids) <= originals.keys(), "select() gave a trajectory that was not among the candidates"
    for candidate in selection:
        same = originals[candidate.trajectory.id]
        assert candidate.trajectory == same.trajectory, "a trajectory must be passed on as it is: write it shorter in a formatter"
        assert candidate.step == same.step, "the step that matched must be passed on; use candidate.because(reason)"
        assert isinstance(candidate.score, int | float), f"a score must be a number; one is {candidate.score!r}"
        assert math.isfinite(candidate.score), "a score must be a finite number"
        assert isinstance(candidate.reason, str), f"a reason must be text; one is {candidate.reason!r}"


def gives_reasons(subject: SelectorSubject) -> str:
    selection = subject.make().select(subject.pool(), 4, subject.moment)
    _agrees(selection, subject.pool(), 4)
    for candidate in selection:
        assert candidate.reason.strip(), "every kept candidate must say why: use candidate.because(reason)"
    return f"{selection[0].reason!r}" if selection else "nothing was kept"


def depends_on_its_arguments_alone(subject: SelectorSubject) -> str:
    one, other, pool = subject.make(), subject.make(), subject.pool()
    first = [one.select(pool, k, subject.moment) for k in SIZES]
    again = [other.select(pool, k, subject.moment) for k in reversed(SIZES)][::-1]
    assert first == again, "asked again, by another object in another order, it kept other candidates"
    return "another object in another order keeps the same"


def takes_few_candidates(subject: SelectorSubject) -> str:
    selector, pool = subject.make(), subject.pool()
    assert list(selector.select([], 3, subject.moment)) == [], "select() of no candidates must give none"
    for few in (pool[:1], pool[:2]):
        _agrees(selector.select(few, 4, subject.moment), few, 4)
    return "none, one and two for four places"


def takes_any_scores(subject: SelectorSubject) -> str:
    selector = subject.make()
    for scores in ([1.0] * 12, [0.0] * 12, [-float(n) for n in range(12)], [1e9, *[1e-9] * 11]):
        pool = [replace(c, score=score) for c, score in zip(subject.pool(), scores, strict=False)]
        _agrees(selector.select(pool, 3, subject.moment), pool, 3)
    return "equal, zero, negative and far apart"


def takes_odd_trajectories(subject: SelectorSubject) -> str:
    selector, pool = subject.make(), candidates(odd())
    for moment in (subject.moment, *(moments(episode)[-1] for episode in odd())):
        _agrees(selector.select(pool, 3, moment), pool, 3)
    return f"{len(pool)} without steps, without texts, hostile"


def leaves_the_pool_alone(subject: SelectorSubject) -> str:
    pool = subject.pool()
    before, records = list(pool), [candidate.trajectory.to_json() for candidate in pool]
    subject.make().select(pool, 3, subject.moment)
    assert pool == before, "select() changed the list of candidates that it was given"
    assert [c.trajectory.to_json() for c in pool] == records, "select() changed the metadata of a trajectory"
    return "the list of candidates stays as it was"


def speed(subject: SelectorSubject) -> str:
    selector, pool = subject.make(), subject.pool()
    pool = pool[: selector.pool(2)]
    started = time.perf_counter()
    selector.select(pool, 2, subject.moment)
    return f"{1000 * (time.perf_counter() - started):.2f} ms to keep 2 of {len(pool)}"


def keeps_the_same_elsewhere(subject: SelectorSubject) -> str:
    number = differs_elsewhere(subject.make, subject.episodes, _ids)
    assert number is None, "another process keeps other candidates: nothing may depend on the order of a set, or on hash()"
    return "another process keeps the same"


def _ids(selector: Selector, episodes: Sequence[Trajectory]) -> list[str]:
    pool, moment = candidates(episodes), moments(episodes[0])[0]
    return [candidate.trajectory.id + candidate.reason for k in SIZES for candidate in selector.select(pool, k, moment)]


CHECKS: tuple[Check, ...] = (
    describes_itself,
    keeps_some_of_the_pool,
    gives_reasons,
    depends_on_its_arguments_alone,
    takes_few_candidates,
    takes_any_scores,
    takes_odd_trajectories,
    leaves_the_pool_alone,
    speed,
    keeps_the_same_elsewhere,
)


def check_selector(make: Callable[[], Selector], episodes: Sequence[Trajectory] = ()) -> Iterator[Result]:
    """Run every check, with these episodes or made-up ones. A failed check stops no other."""
    return run_checks(CHECKS, SelectorSubject(make, episodes or ordinary()))


class SelectorConformance(Conformance):
    """Subclass in a test suite, override `make`; pytest runs each check as a test of its own."""

    checks = CHECKS

    def make(self) -> Selector:
        raise TypeError("Override make(): return your selector.")

    def episodes(self) -> Sequence[Trajectory]:
        """The episodes that are the candidates: override to examine it with your own."""
        return ordinary()

    def subject(self) -> SelectorSubject:
        return SelectorSubject(self.make, self.episodes())
