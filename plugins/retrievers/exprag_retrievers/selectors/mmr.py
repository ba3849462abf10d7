"""`mmr`: near to the query and far from each other (maximal marginal relevance; Carbonell & Goldstein, SIGIR 1998)."""

from __future__ import annotations

from collections.abc import Sequence

from exprag.contracts.query_strategy import Moment
from exprag.contracts.selector import Candidate, Selector
from exprag_retrievers.selectors.measures import count, jaccard, relevance, share, words


class MaximalMarginalRelevance(Selector):
    """One after the other, the candidate with the most of λ · relevance - (1 - λ) · likeness to what is chosen already.

    `lambda_`: 1 is relevance alone, 0 diversity alone. Relevance is the score as a share of the best; likeness is the Jaccard
    overlap of the words of task, observations and actions. `among`: how many candidates there are per place.
    """

    def __init__(self, lambda_: float = 0.7, among: int = 5) -> None:
        self.lambda_ = share("lambda_", lambda_)
        self.among = count("among", among)

    def pool(self, k: int) -> int:
        return self.among * k

    def select(self, candidates: Sequence[Candidate], k: int, moment: Moment) -> list[Candidate]:
        said = [words(c.trajectory) for c in candidates]
        likeness = [0.0] * len(candidates)  # to the nearest of those chosen so far
        near, left, kept = relevance(candidates), list(range(len(candidates))), list[Candidate]()
        while left and len(kept) < k:
            at = max(left, key=lambda i: (self.lambda_ * near[i] - (1 - self.lambda_) * likeness[i], -i))
            left.remove(at)
            kept.append(candidates[at].because(f"relevance {near[at]:.2f}, {likeness[at]:.0%} like those before it"))
            for i in left:
                likeness[i] = max(likeness[i], jaccard(said[i], said[at]))
        return kept
