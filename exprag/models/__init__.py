"""A chat model from a short spec, tokens as models count them, and the cards of adapters."""

from exprag.models.load import load_model
from exprag.models.tokens import token_counter

__all__ = ["load_model", "token_counter"]
