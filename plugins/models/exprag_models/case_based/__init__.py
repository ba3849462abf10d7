"""`recall`: a case-based baseline behind the chat model interface. Not a language model; see `model`."""

from exprag_models.case_based.model import CaseBased

__all__ = ["CaseBased"]
