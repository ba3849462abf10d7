"""`success_weighted`: similarity times utility, after MemRL (Zhang et al., arXiv 2601.03192): near and known to help."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from exprag.contracts.query_strategy import Moment
from exprag.contracts.selector import Candidate, Selector
from exprag.retrieval.utilities import read_utilities
from exprag.trajectory import Trajectory
from exprag_retrievers.selectors.measures import count, relevance, share


class SuccessWeighted(Selector):
    """The k with the highest relevance · (1 - weight + weight · utility).

    The utility of a trajectory lies in [0, 1]. Before anyone has recalled it, it is its outcome: 1 for a success, half its
    score for a failure, ½ where nothing is known. `utilities` names a file of `exprag bank utilities`: what became of the
    episodes that recalled it, which takes the outcome's place more and more. `weight` 0 is similarity alone; at 1 a useless
    trajectory is never before a useful one. `among`: how many candidates there are per place (MemRL's first phase).
    """

    def __init__(self, weight: float = 0.5, utilities: str | Path | None = None, among: int = 5) -> None:
        self.weight = share("weight", weight)
        self.among = count("among", among)
        self._learned = read_utilities(utilities) if utilities is not None else {}

    def pool(self, k: int) -> int:
        return self.among * k

    def select(self, candidates: Sequence[Candidate], k: int, moment: Moment) -> list[Candidate]:
        weighed = []
        for rank, (candidate, near) in enumerate(zip(candidates, relevance(candidates), strict=True)):
            useful, why = self.utility(candidate.trajectory)
            score = near * (1 - self.weight + self.weight * useful)
            weighed.append((-score, rank, candidate.because(f"relevance {near:.2f}, utility {useful:.2f} ({why})")))
        return [candidate for _, _, candidate in sorted(weighed, key=lambda item: item[:2])[:k]]

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
