"""The chat model that ranks a retriever's hints: loaded here, because retrieval knows no models."""

from __future__ import annotations

from typing import Protocol, TypeVar

from langchain_core.language_models import BaseChatModel

from exprag.models.load import load_model


class _Finder(Protocol):
    model: str | BaseChatModel | None


class _Retriever(Protocol):
    @property
    def hint_finder(self) -> _Finder | None: ...


R = TypeVar("R", bound=_Retriever)


def with_hint_model(retriever: R) -> R:
    """The retriever, the model that ranks its hints loaded where it was named by a spec. Raises what `load_model` raises."""
    finder = retriever.hint_finder
    if finder is not None and isinstance(finder.model, str):
        finder.model = load_model(finder.model)
    return retriever
