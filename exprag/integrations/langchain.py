"""The bank behind LangChain's interfaces. What is what:

BankVectorStore       a `VectorStore` of *documents*: any text with any metadata, beside the trajectories of a bank
ExperienceRetriever   a `BaseRetriever` of *trajectories*: text in, formatted episodes with score and reason out
EmbeddingsEncoder     any LangChain `Embeddings` as the encoder of a bank
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from langchain_core.callbacks import AsyncCallbackManagerForRetrieverRun, CallbackManagerForRetrieverRun
from langchain_core.documents import Document
from langchain_core.embeddings import Embeddings
from langchain_core.retrievers import BaseRetriever
from langchain_core.vectorstores import VectorStore
from langchain_core.vectorstores.utils import maximal_marginal_relevance
from pydantic import ConfigDict, Field, PrivateAttr

from exprag.bank.bank import Bank
from exprag.bank.documents.collection import DOCUMENTS, DocumentHit, Documents
from exprag.bank.filters import Filter
from exprag.contracts.formatter import Formatter
from exprag.contracts.query_strategy import QueryStrategy
from exprag.contracts.selector import Candidate, Selector
from exprag.errors import BankError, ConfigError
from exprag.integrations.embeddings import EmbeddingsEncoder, unit
from exprag.integrations.recall import recall
from exprag.plugins import create
from exprag.retrieval import Retriever
from exprag.trajectory import OUTCOMES


class BankVectorStore(VectorStore):
    """Documents of a bank as a LangChain vector store.

    `filter` of the searches is metadata that a document must have, nested as it is there. Scores are dot products of unit
    vectors, or BM25 in a lexical bank, which finds only documents that share a word. Adding a document whose id is there
    replaces it; one without an id gets one made from its content.
    """

    def __init__(self, bank: Bank | str | Path, collection: str = DOCUMENTS) -> None:
        self.bank = bank if isinstance(bank, Bank) else Bank.open(bank)
        self.documents = Documents(self.bank, collection)

    @property
    def embeddings(self) -> Embeddings | None:
        if not self.bank.dimension:
            return None
        encoder = self.bank.load_encoder()
        encoder = getattr(encoder, "encoder", encoder)  # without its cache
        return encoder.embeddings if isinstance(encoder, EmbeddingsEncoder) else getattr(encoder, "model", None)

    def add_texts(
        self,
        texts: Iterable[str],
        metadatas: list[dict[str, Any]] | None = None,
        *,
        ids: Sequence[str | None] | None = None,
        **kwargs: Any,
    ) -> list[str]:
        contents = list(texts)
        about, names = metadatas or [{} for _ in contents], ids or [None for _ in contents]
        if not len(contents) == len(about) == len(names):
            raise ConfigError(
                f"{len(contents)} texts came with {len(about)} metadatas and {len(names)} ids: the numbers must agree."
            )
        return self.add_documents(
            [Document(text, metadata=data, id=id) for text, data, id in zip(contents, about, names, strict=True)]
        )

    def add_documents(self, documents: list[Document], **kwargs: Any) -> list[str]:
        """Add or replace; returns the ids. `ids` names them, before the documents' own."""
        ids = kwargs.get("ids")
        if ids is not None:
            if len(ids) != len(documents):
                raise ConfigError(f"{len(documents)} documents came with {len(ids)} ids: the numbers must agree.")
            documents = [d.model_copy(update={"id": id or d.id}) for d, id in zip(documents, ids, strict=True)]
        return list(self.documents.add(documents).ids)

    def delete(self, ids: list[str] | None = None, **kwargs: Any) -> bool:
        """Remove by ids; those that are not there are passed over. None removes all, as LangChain asks."""
        self.documents.delete([str(document.id) for document in self.documents] if ids is None else ids)
        return True

    def get_by_ids(self, ids: Sequence[str], /) -> list[Document]:
        documents = self.documents.find(ids)
        return [documents[id] for id in ids if id in documents]

    def similarity_search(self, query: str, k: int = 4, filter: Mapping[str, Any] | None = None, **kwargs: Any) -> list[Document]:
        return [document for document, _ in self.similarity_search_with_score(query, k, filter=filter)]

    def similarity_search_with_score(
        self, query: str, k: int = 4, filter: Mapping[str, Any] | None = None, **kwargs: Any
    ) -> list[tuple[Document, float]]:
        return [(hit.document, hit.score) for hit in self.documents.search(query, k, filter)]

    def similarity_search_by_vector(
        self, embedding: list[float], k: int = 4, filter: Mapping[str, Any] | None = None, **kwargs: Any
    ) -> list[Document]:
        return [hit.document for hit in self.documents.search_by_vector(unit(np.asarray(embedding)), k, filter)]

    def max_marginal_relevance_search(
        self,
        query: str,
        k: int = 4,
        fetch_k: int = 20,
        lambda_mult: float = 0.5,
        filter: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> list[Document]:
        """Near the query and unlike each other (Carbonell and Goldstein, 1998). Raises BankError in a lexical bank."""
        if not self.bank.dimension:
            raise BankError(f"The bank {self.bank.uri} is lexical: it has no vectors.", cure="Use similarity_search.")
        hits = self.documents.search(query, fetch_k, filter)
        return self._diverse(self.bank.query_vector(query), hits, k, lambda_mult)

    def _diverse(self, query: np.ndarray, hits: list[DocumentHit], k: int, lambda_mult: float) -> list[Document]:
        vectors = self.documents.vectors([str(hit.document.id) for hit in hits])
        order = maximal_marginal_relevance(query, [vectors[str(hit.document.id)].tolist() for hit in hits], lambda_mult, k)
        return [hits[place].document for place in order]

    def _select_relevance_score_fn(self) -> Callable[[float], float]:
        """To [0, 1]: a cosine c as (1 + c) / 2, a BM25 score b as b / (1 + b)."""
        return (lambda cosine: (1 + cosine) / 2) if self.bank.dimension else (lambda bm25: bm25 / (1 + bm25))

    @classmethod
    def from_texts(
        cls,
        texts: list[str],
        embedding: Embeddings,
        metadatas: list[dict[str, Any]] | None = None,
        *,
        ids: list[str] | None = None,
        uri: str | Path = "",
        collection: str = DOCUMENTS,
        **kwargs: Any,
    ) -> BankVectorStore:
        """A store in the bank at `uri`, which is made if it is missing, with `embedding` as its encoder."""
        store = cls(Bank.open_or_create(uri, EmbeddingsEncoder(embedding)), collection)
        store.add_texts(texts, metadatas, ids=ids)
        return store


class ExperienceRetriever(BaseRetriever):
    """Trajectories of a bank for a text: `ExperienceRetriever(bank=bank, k=2).invoke("put a clean mug on the desk")`.

    Each document's page_content is the trajectory as the formatter writes it; its metadata: id, score, reason, environment,
    task, type, instruction, success, outcome. `k` can be given to `invoke` too. A text belongs to no task, so nothing is
    excluded; `where` filters.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True)

    bank: Bank | str | Path
    k: int = Field(4, ge=0)
    strategy: str | QueryStrategy = "task"
    selector: str | Selector = "top_k"
    key_strategy: str | None = None
    search_mode: str = "auto"
    where: Filter | None = None
    formatter: str | Formatter = "chat_json"
    _opened: Bank = PrivateAttr()
    _written: Formatter = PrivateAttr()

    def model_post_init(self, context: Any) -> None:
        super().model_post_init(context)
        self._opened = self.bank if isinstance(self.bank, Bank) else Bank.open(self.bank)
        self._written = create("formatter", self.formatter) if isinstance(self.formatter, str) else self.formatter
        self._asking(self.k)  # a wrong option is told now and not at the first question

    def _asking(self, k: int) -> Retriever:
        return Retriever(
            self._opened,
            self.strategy,
            self.selector,
            k,
            where=self.where,
            key_strategy=self.key_strategy,
            search_mode=self.search_mode,
        )

    def _get_relevant_documents(
        self, query: str, *, run_manager: CallbackManagerForRetrieverRun, k: int | None = None, **kwargs: Any
    ) -> list[Document]:
        return self._documents(query, k)

    async def _aget_relevant_documents(
        self, query: str, *, run_manager: AsyncCallbackManagerForRetrieverRun, k: int | None = None, **kwargs: Any
    ) -> list[Document]:
        return await asyncio.to_thread(self._documents, query, k)

    def _documents(self, query: str, k: int | None) -> list[Document]:
        retrieval = recall(self._asking(self.k if k is None else k), query)
        return [self._document(candidate) for candidate in retrieval.candidates]

    def _document(self, candidate: Candidate) -> Document:
        trajectory, task = candidate.trajectory, candidate.trajectory.task
        return Document(
            self._written.format(trajectory),
            id=trajectory.id,
            metadata={
                "id": trajectory.id,
                "score": candidate.score,
                "reason": candidate.reason,
                "environment": task.environment,
                "task": task.id,
                "type": task.type,
                "instruction": task.instruction,
                "success": trajectory.success,
                "outcome": OUTCOMES[trajectory.success],
            },
        )
