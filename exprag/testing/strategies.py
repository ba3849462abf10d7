"""The query strategy kit: do key and query keep the contract, and do they match?

exprag validate strategy NAME [--bank BANK]               one command; with a bank, over its episodes too

class TestMine(QueryStrategyConformance):                 one class, in your own test suite
    def make(self): return MyStrategy()
"""

from __future__ import annotations

import math
import re
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from exprag.contracts.query_strategy import QueryStrategy, StepStrategy
from exprag.retrieval import check_refresh
from exprag.testing.elsewhere import differs_elsewhere
from exprag.testing.kit import Check, Conformance, NotApplicable, Result, run_checks
from exprag.testing.material import moments, odd, ordinary
from exprag.trajectory import Trajectory

_WORD = re.compile(r"\w+")
_PLACE = 0.6  # share of keys that an episode's own must on average leave behind; chance is a half


@dataclass
class StrategySubject:
    """What is examined: a factory of the strategy, and the episodes that it is examined with."""

    make: Callable[[], QueryStrategy]
    episodes: Sequence[Trajectory] = field(default_factory=ordinary)


def describes_itself(subject: StrategySubject) -> str:
    strategy = subject.make()
    assert isinstance(strategy, QueryStrategy), f"make() gave a {type(strategy).__name__}, not a QueryStrategy"
    return f"refresh {check_refresh(strategy.refresh)}"


def gives_every_trajectory_a_key(subject: StrategySubject) -> str:
    strategy = subject.make()
    every = [*subject.episodes, *odd()]
    for episode in every:
        key = strategy.key(episode)
        assert isinstance(key, str), f"key() must give text; it gave a {type(key).__name__}"
    for episode in subject.episodes:
        assert strategy.key(episode).strip(), f"the key of {episode.task.key} is blank: it would never be found"
    return f"{len(every)} trajectories, some without steps or text"


def asks_at_every_moment(subject: StrategySubject) -> str:
    strategy = subject.make()
    count = silent = 0
    for episode in (*subject.episodes, *odd()):
        for moment in moments(episode):
            query = strategy.query(moment)
            assert query is None or isinstance(query, str), f"query() must give text or None; it gave a {type(query).__name__}"
            count, silent = count + 1, silent + (query is None)
    assert silent < count, "query() gave None at every moment: nothing would ever be recalled"
    for episode in subject.episodes:
        queries = [strategy.query(moment) for moment in moments(episode)]
        asks = strategy.refresh != "once" or queries[0] is not None
        assert asks, f"query() gave None at the start of {episode.task.key}, and with refresh once the bank is not asked later"
        texts = [query for query in queries if query is not None]
        assert not texts or any(text.strip() for text in texts), f"every query of {episode.task.key} is blank: it finds nothing"
    return f"{count} moments, {silent} of them left the memory as it was"


def names_a_subgoal(subject: StrategySubject) -> str:
    strategy = subject.make()
    changes = steps = 0
    for episode in (*subject.episodes, *odd()):
        subgoals = [strategy.subgoal(moment) for moment in moments(episode)]
        assert all(isinstance(text, str) for text in subgoals), "subgoal() must give text"
        steps += len(subgoals) - 1
        changes += sum(one != other for one, other in pairwise(subgoals))
    stuck = strategy.refresh == "on_change" and not changes
    assert not stuck, "its refresh is on_change, and its sub-goal never changes: the bank would be asked once"
    return f"it changes at {changes} of {steps} steps"


def depends_on_its_arguments_alone(subject: StrategySubject) -> str:
    one, other = subject.make(), subject.make()
    episodes = [*subject.episodes[:12], *odd()]
    before = [episode.to_json() for episode in episodes]
    first = [(one.key(e), [(one.query(m), one.subgoal(m)) for m in moments(e)]) for e in episodes]
    again = [(other.key(e), [(other.query(m), other.subgoal(m)) for m in reversed(moments(e))][::-1]) for e in reversed(episodes)]
    assert first == again[::-1], "asked again, by another object in another order, it gave other keys or queries"
    assert [episode.to_json() for episode in episodes] == before, "it changed the metadata of a trajectory"
    return "another object in another order gives the same"


def keeps_steps_apart(subject: StrategySubject) -> str:
    strategy = subject.make()
    if not isinstance(strategy, StepStrategy):
        raise NotApplicable("its keys are whole trajectories")
    for name in ("before", "after"):
        value = getattr(strategy, name)
        assert isinstance(value, int), f"`{name}` must be a number of steps; it is {value!r}"
        assert value >= 0, f"`{name}` must be 0 or more"
    for episode in (*subject.episodes, *odd()):
        keys = strategy.keys(episode)
        assert isinstance(keys, list | tuple), f"keys() must give a list of texts; it gave a {type(keys).__name__}"
        assert len(keys) == len(episode.steps), f"keys() gave {len(keys)} texts for {len(episode.steps)} steps"
        assert all(isinstance(key, str) for key in keys), "every key must be text"
    return f"one key a step; a window of {strategy.before} before and {strategy.after} after"


def finds_its_own(subject: StrategySubject) -> str:
    """Where episodes are asked about from within, their own keys should be nearer than most."""
    strategy = subject.make()
    keys = [Counter(_WORD.findall(strategy.key(episode).lower())) for episode in subject.episodes]
    frequencies = Counter(word for key in keys for word in key)
    weight = {word: math.log(1 + len(keys) / count) for word, count in frequencies.items()}
    places = []
    for own, episode in enumerate(subject.episodes):
        course = moments(episode)
        for moment in (course[0], course[len(course) // 2]):
            if query := strategy.query(moment):
                words = set(_WORD.findall(query.lower()))
                scores = [sum(weight[word] for word in words & key.keys()) / (1 + math.sqrt(key.total())) for key in keys]
                behind = sum(score < scores[own] for score in scores) + (scores.count(scores[own]) - 1) / 2
                places.append(behind / max(1, len(keys) - 1))
    if not places:
        raise NotApplicable("it asks nothing at the start and in the middle of episodes")
    place = sum(places) / len(places)
    assert place > _PLACE, (
        f"asked from within an episode, its own key leaves only {place:.0%} of the others behind (chance is 50%): "
        "key and query must speak of the same things in the same words"
    )
    return f"an episode's own key leaves {place:.0%} of the others behind"


def speed(subject: StrategySubject) -> str:
    strategy = subject.make()
    long = max(subject.episodes, key=lambda episode: len(episode.steps))
    while len(long.steps) < 50:
        long = long.model_copy(update={"steps": long.steps * 2})
    started = time.perf_counter()
    strategy.key(long)
    between = time.perf_counter()
    strategy.query(moments(long)[-1])
    key, query = between - started, time.perf_counter() - between
    return f"{len(long.steps)} steps: key {1000 * key:.2f} ms, query {1000 * query:.2f} ms"


def gives_the_same_elsewhere(subject: StrategySubject) -> str:
    number = differs_elsewhere(subject.make, [*subject.episodes[:12], *odd()], _texts)
    assert number is None, "another process gives other keys or queries: nothing may depend on the order of a set, or on hash()"
    return "another process gives the same"


def _texts(strategy: QueryStrategy, episodes: Sequence[Trajectory]) -> list[str]:
    return [text for e in episodes for text in (strategy.key(e), *(strategy.query(moment) or "" for moment in moments(e)))]


CHECKS: tuple[Check, ...] = (
    describes_itself,
    gives_every_trajectory_a_key,
    asks_at_every_moment,
    names_a_subgoal,
    depends_on_its_arguments_alone,
    keeps_steps_apart,
    finds_its_own,
    speed,
    gives_the_same_elsewhere,
)


def check_strategy(make: Callable[[], QueryStrategy], episodes: Sequence[Trajectory] = ()) -> Iterator[Result]:
    """Run every check, with these episodes or made-up ones. A failed check stops no other."""
    return run_checks(CHECKS, StrategySubject(make, episodes or ordinary()))


class QueryStrategyConformance(Conformance):
    """Subclass in a test suite, override `make`; pytest runs each check as a test of its own."""

    checks = CHECKS

    def make(self) -> QueryStrategy:
        raise TypeError("Override make(): return your query strategy.")

    def episodes(self) -> Sequence[Trajectory]:
        """The episodes that it is examined with: override to examine it with your own."""
        return ordinary()

    def subject(self) -> StrategySubject:
        return StrategySubject(self.make, self.episodes())
