"""`mmr`: near to the query and far from each other (maximal marginal relevance; Carbonell & Goldstein, SIGIR 1998)."""

from __future__ import annotations

from collections.abc import Sequence

from exprag.contracts.query_strategy import Moment
from exprag.contracts.selector import Candidate, Selector
from exprag_retrievers.selectors.measures import jaccard, pool_option, relevance, share, words


class MaximalMarginalRelevance(Selector):
    """One after the other, the candidate with the most of λ · relevance - (1 - λ) · likeness to the selection so far.

    `lambda_`: 1 is relevance alone, 0 diversity alone. Relevance is the score as a share of the best; likeness is the Jaccard
    overlap of the words of task, observations and actions. `pool_size`: how many candidates there are per place.
    """

    def __init__(self, lambda_: float = 0.7, pool_size: int = 5, *, among: int | None = None) -> None:
        self.lambda_ = share("lambda_", lambda_)
        self.pool_size = pool_option(pool_size, among)

    def pool(self, k: int) -> int:
        return self.pool_size * k

    def select(self, candidates: Sequence[Candidate], k: int, moment: Moment) -> list[Candidate]:
        vocabularies = [words(c.trajectory) for c in candidates]
        likeness = [0.0] * len(candidates)  # to the most alike of the selection so far
        relevances, rest, selection = relevance(candidates), list(range(len(candidates))), list[Candidate]()
        while rest and len(selection) < k:
            best = max(rest, key=lambda i: (self.lambda_ * relevances[i] - (1 - self.lambda_) * likeness[i], -i))
            rest.remove(best)
            reason = f"relevance {relevances[best]:.2f}, {likeness[best]:.0%} like those before it"
            selection.append(candidates[best].because(reason))
            for i in rest:
                likeness[i] = max(likeness[i], jaccard(vocabularies[i], vocabularies[best]))
        return selection
