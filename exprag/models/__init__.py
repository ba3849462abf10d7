"""A chat model from a short spec, tokens as models count them, and the cards of adapters."""

from exprag.models.credentials import hide_credentials, public_spec
from exprag.models.load import load_model
from exprag.models.tokens import token_counter

__all__ = ["hide_credentials", "load_model", "public_spec", "token_counter"]
