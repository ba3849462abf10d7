"""`type_quota`: at most a few of each task type."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from exprag.contracts.query_strategy import Moment
from exprag.contracts.selector import Candidate, Selector
from exprag_retrievers.selectors.measures import count, pool_option


class TypeQuota(Selector):
    """The nearest, but at most `per_type` of each task type: for agents that should see how neighbouring kinds of task
    are done. The quota is strict: with too few types among the candidates fewer than k are kept."""

    def __init__(self, per_type: int = 1, pool_size: int = 16, *, among: int | None = None) -> None:
        self.per_type = count("per_type", per_type)
        self.pool_size = pool_option(pool_size, among)

    def pool(self, k: int) -> int:
        return self.pool_size * k

    def select(self, candidates: Sequence[Candidate], k: int, moment: Moment) -> list[Candidate]:
        counts: Counter[str] = Counter()
        selection: list[Candidate] = []
        for rank, candidate in enumerate(candidates, 1):
            type_ = candidate.trajectory.task.type
            counts[type_] += 1
            if counts[type_] <= self.per_type and len(selection) < k:
                reason = f"number {counts[type_]} of type {type_ or 'unknown'!r}, rank {rank} by similarity"
                selection.append(candidate.because(reason))
        return selection
