"""`recall`: a case-based baseline behind the chat model interface. Not a language model; see `model`."""

from exprag.models.recall.model import Recall

__all__ = ["Recall"]
