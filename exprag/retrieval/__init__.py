"""Query + exclusion + selection = a retriever."""

from exprag.retrieval.contracts import Candidate, Moment, QueryStrategy, Refresh, Selector
from exprag.retrieval.exclusion import Exclusion
from exprag.retrieval.retriever import Retrieval, Retriever

__all__ = ["Candidate", "Exclusion", "Moment", "QueryStrategy", "Refresh", "Retrieval", "Retriever", "Selector"]
