"""A chat model from a short spec."""

from exprag.models.specs import load_model
from exprag.models.tokens import token_counter

__all__ = ["load_model", "token_counter"]
