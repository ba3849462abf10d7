"""`top_k`: the nearest."""

from __future__ import annotations

from collections.abc import Sequence

from exprag.contracts.query_strategy import Moment
from exprag.contracts.selector import Candidate, Selector


class TopK(Selector):
    """The k nearest, nearest first."""

    def select(self, candidates: Sequence[Candidate], k: int, moment: Moment) -> list[Candidate]:
        return [c.because(f"rank {rank} by similarity") for rank, c in enumerate(candidates[:k], 1)]
