"""A chat model from a short spec: `load_model("recall")`, `load_model("hf:./folder")`, `load_model("openai:name")`."""

from exprag.models.specs import load_model

__all__ = ["load_model"]
