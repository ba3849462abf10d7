"""`successes`, `failures`, `mixture`: by outcome. Where all of a bank is to be searched for one outcome, a filter on the
bank (`Filter(success=True)`) never runs out of candidates; these choose within what is near."""

from __future__ import annotations

from collections.abc import Sequence

from exprag.contracts.query_strategy import Moment
from exprag.contracts.selector import Candidate, Selector
from exprag_retrievers.selectors.measures import pool_option, share


class Successes(Selector):
    """The nearest that reached the goal. `pool_size`: how many candidates there are per place."""

    outcome = True
    label = "a success"

    def __init__(self, pool_size: int = 8, *, among: int | None = None) -> None:
        self.pool_size = pool_option(pool_size, among)

    def pool(self, k: int) -> int:
        return self.pool_size * k

    def select(self, candidates: Sequence[Candidate], k: int, moment: Moment) -> list[Candidate]:
        fitting = [(rank, c) for rank, c in enumerate(candidates, 1) if c.trajectory.success is self.outcome]
        return [c.because(f"{self.label}, rank {rank} by similarity") for rank, c in fitting[:k]]


class Failures(Successes):
    """The nearest that missed the goal: what not to do. Failures are rarer in most banks, so more candidates are asked for."""

    outcome = False
    label = "a failure"

    def __init__(self, pool_size: int = 24, *, among: int | None = None) -> None:
        super().__init__(pool_size, among=among)


class Mixture(Selector):
    """A set share of successes, the rest failures, each the nearest of its kind, read in the order of similarity.

    Where one kind runs short, the other fills its places, and the reason says so; an unknown outcome fills last. Of two
    places at a share of one half, each kind has one; at least one place is a success's if the share is above 0.
    """

    def __init__(self, successes: float = 0.5, pool_size: int = 16, *, among: int | None = None) -> None:
        self.successes = share("successes", successes)
        self.pool_size = pool_option(pool_size, among)

    def pool(self, k: int) -> int:
        return self.pool_size * k

    def select(self, candidates: Sequence[Candidate], k: int, moment: Moment) -> list[Candidate]:
        won = [i for i, c in enumerate(candidates) if c.trajectory.success is True]
        lost = [i for i, c in enumerate(candidates) if c.trajectory.success is False]
        places = max(round(self.successes * k), 1 if self.successes > 0 else 0)
        reasons = dict.fromkeys(won[:places], "a success") | dict.fromkeys(lost[: k - places], "a failure")
        unknown = [i for i, c in enumerate(candidates) if c.trajectory.success is None]
        for i in sorted({*won, *lost} - set(reasons)) + unknown:
            if len(reasons) < k:
                reasons[i] = "fills a place that the other outcome left empty"
        return [candidates[i].because(f"{reasons[i]}, rank {i + 1} by similarity") for i in sorted(reasons)]
