"""`deduplicated`: the nearest, near-duplicates left out."""

from __future__ import annotations

from collections.abc import Sequence

from exprag.contracts.query_strategy import Moment
from exprag.contracts.selector import Candidate, Selector
from exprag_retrievers.selectors.measures import jaccard, pool_option, share, shingles


class Deduplicated(Selector):
    """The nearest that are not nearly the same as one that is nearer.

    Two trajectories are near-duplicates where their task and actions, taken as runs of three words, overlap by `threshold`
    (Jaccard; Broder, "On the resemblance and containment of documents", 1997) or more. What was observed does not count: the
    same walk through two houses is one lesson. Fewer than k are kept where the candidates hold no more lessons.
    """

    def __init__(self, threshold: float = 0.8, pool_size: int = 5, *, among: int | None = None) -> None:
        self.threshold = share("threshold", threshold)
        self.pool_size = pool_option(pool_size, among)

    def pool(self, k: int) -> int:
        return self.pool_size * k

    def select(self, candidates: Sequence[Candidate], k: int, moment: Moment) -> list[Candidate]:
        selection: list[Candidate] = []
        lessons: list[frozenset[tuple[str, ...]]] = []
        for rank, candidate in enumerate(candidates, 1):
            lesson = shingles(candidate.trajectory)
            likeness = max((jaccard(lesson, other) for other in lessons), default=0.0)
            if len(selection) < k and likeness < self.threshold:
                selection.append(candidate.because(f"rank {rank} by similarity, at most {likeness:.0%} like those before it"))
                lessons.append(lesson)
        return selection
