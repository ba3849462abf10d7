"""Counting tokens as the model itself would."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from exprag.prompt.block import approximate_tokens


def token_counter(model: Any) -> Callable[[str], int]:
    """Text → number of tokens: by the model's tokenizer where it is here in the process, else four characters a token.

    A served model's tokenizer is not downloaded for it: nothing is fetched unless asked for.
    """
    tokenizer = getattr(model, "tokenizer", None)
    if not callable(tokenizer):
        return approximate_tokens

    def count(text: str) -> int:
        encoded = tokenizer(text.encode("utf-8", "replace").decode("utf-8"), add_special_tokens=False)
        return len(encoded["input_ids"])

    return count
