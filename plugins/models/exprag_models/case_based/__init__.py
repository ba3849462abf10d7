"""`case-based`: a case-based baseline behind the chat model interface. Not a language model; see `model`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from exprag_models.case_based.model import CaseBased

__all__ = ["CaseBased", "load"]


def load() -> CaseBased:
    """The baseline; it takes no name and no options."""
    from exprag_models.case_based.model import CaseBased

    return CaseBased()


def __getattr__(name: str) -> Any:
    if name == "CaseBased":
        from exprag_models.case_based.model import CaseBased

        return CaseBased
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
