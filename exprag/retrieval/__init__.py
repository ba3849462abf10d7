"""Query + exclusion + selection = a retriever."""

from exprag.retrieval.contracts import Candidate, Moment, QueryStrategy, Refresh, Selector

__all__ = ["Candidate", "Moment", "QueryStrategy", "Refresh", "Selector"]
