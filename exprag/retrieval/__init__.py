"""Query + exclusion + selection = a retriever."""

from exprag.retrieval.contracts import Candidate, Moment, QueryStrategy, Selector, StepStrategy, window
from exprag.retrieval.exclusion import Exclusion
from exprag.retrieval.refresh import check_refresh
from exprag.retrieval.retriever import INDEX_STATES, Previous, Retrieval, Retriever

__all__ = [
    "INDEX_STATES",
    "Candidate",
    "Exclusion",
    "Moment",
    "Previous",
    "QueryStrategy",
    "Retrieval",
    "Retriever",
    "Selector",
    "StepStrategy",
    "check_refresh",
    "window",
]
