"""Query + exclusion + selection = a retriever."""

from exprag.retrieval.refresh import check_refresh
from exprag.retrieval.retriever import INDEX_STATES, Retrieval, Retriever

__all__ = ["INDEX_STATES", "Retrieval", "Retriever", "check_refresh"]
