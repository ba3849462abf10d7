"""LangChain's embeddings as the encoder of a bank."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager

import numpy as np
from langchain_core.embeddings import Embeddings

from exprag.errors import BankError, boundary


class EmbeddingsEncoder:
    """A LangChain `Embeddings` as an encoder; vectors are brought to length one. Raises BankError where they fail.

    `spec` is what the bank writes down; such a bank is opened with the object: `Bank.open(uri, encoder=EmbeddingsEncoder(…))`.
    """

    def __init__(self, embeddings: Embeddings, spec: str = "") -> None:
        self.embeddings = embeddings
        model = getattr(embeddings, "model_name", None) or getattr(embeddings, "model", None)
        named = f"{type(embeddings).__name__}:{model}" if isinstance(model, str) else type(embeddings).__name__
        self.spec = spec or f"langchain:{named}"

    def encode_keys(self, texts: Sequence[str]) -> np.ndarray:
        with self._guarded():
            return unit(np.asarray(self.embeddings.embed_documents(list(texts)), dtype=np.float32))

    def encode_query(self, text: str) -> np.ndarray:
        with self._guarded():
            return unit(np.asarray(self.embeddings.embed_query(text), dtype=np.float32))

    def _guarded(self) -> AbstractContextManager[None]:
        return boundary(BankError, f"The embeddings {self.spec!r} failed")


def unit(vectors: np.ndarray) -> np.ndarray:
    """The vectors (last axis) at length one; a zero vector stays."""
    length = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return vectors / np.where(length > 0, length, 1)
