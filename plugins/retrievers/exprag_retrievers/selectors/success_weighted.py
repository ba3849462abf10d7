"""`success_weighted`: similarity times utility, after MemRL (Zhang et al., arXiv 2601.03192): near and known to help."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from exprag.contracts.query_strategy import Moment
from exprag.contracts.selector import Candidate, Selector
from exprag.retrieval.utilities import read_utilities
from exprag.trajectory import Trajectory
from exprag_retrievers.selectors.measures import pool_option, relevance, share


class SuccessWeighted(Selector):
    """The k with the highest relevance · (1 - weight + weight · utility).

    The utility of a trajectory lies in [0, 1]. Before anyone has recalled it, it is its outcome: 1 for a success, half its
    score for a failure, ½ where nothing is known. `utilities` names a file of `exprag bank utilities`: what became of the
    episodes that recalled it, which takes the outcome's place more and more. `weight` 0 is similarity alone; at 1 a useless
    trajectory is never before a useful one. `pool_size`: how many candidates there are per place (MemRL's first phase).
    """

    def __init__(
        self, weight: float = 0.5, utilities: str | Path | None = None, pool_size: int = 5, *, among: int | None = None
    ) -> None:
        self.weight = share("weight", weight)
        self.pool_size = pool_option(pool_size, among)
        self._learned = read_utilities(utilities) if utilities is not None else {}

    def pool(self, k: int) -> int:
        return self.pool_size * k

    def select(self, candidates: Sequence[Candidate], k: int, moment: Moment) -> list[Candidate]:
        ranks = []
        for rank, (candidate, nearness) in enumerate(zip(candidates, relevance(candidates), strict=True)):
            utility, source = self.utility(candidate.trajectory)
            score = nearness * (1 - self.weight + self.weight * utility)
            ranks.append((-score, rank, candidate.because(f"relevance {nearness:.2f}, utility {utility:.2f} ({source})")))
        return [candidate for _, _, candidate in sorted(ranks, key=lambda item: item[:2])[:k]]

    def utility(self, trajectory: Trajectory) -> tuple[float, str]:
        """The utility, and where it comes from."""
        prior = expected(trajectory)
        learned = self._learned.get(trajectory.id)
        return (learned.from_prior(prior), f"recalled in {learned.n} episodes") if learned else (prior, "its outcome")


def expected(trajectory: Trajectory) -> float:
    """The utility of a trajectory that nobody has recalled yet, in [0, 1]."""
    if trajectory.success:
        return 1.0
    if trajectory.success is None and trajectory.score is None:
        return 0.5
    return 0.5 * max(0.0, trajectory.score or 0.0)
