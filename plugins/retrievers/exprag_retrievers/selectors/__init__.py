"""The built-in selectors, a file each; `measures` holds what several of them compare by."""

from exprag_retrievers.selectors.cross_encoder import CrossEncoderRerank
from exprag_retrievers.selectors.deduplicated import Deduplicated
from exprag_retrievers.selectors.mmr import MaximalMarginalRelevance
from exprag_retrievers.selectors.outcome import Failures, Mixture, Successes
from exprag_retrievers.selectors.rerank import Rerank
from exprag_retrievers.selectors.success_weighted import SuccessWeighted
from exprag_retrievers.selectors.top_k import TopK
from exprag_retrievers.selectors.type_quota import TypeQuota

__all__ = [
    "CrossEncoderRerank",
    "Deduplicated",
    "Failures",
    "MaximalMarginalRelevance",
    "Mixture",
    "Rerank",
    "SuccessWeighted",
    "Successes",
    "TopK",
    "TypeQuota",
]
