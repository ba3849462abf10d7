"""Tokens as the model itself counts them, and a name for what its tokenizer does."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from typing import Any

from exprag.prompt.block import approximate_tokens
from exprag.text import encodable


def token_counter(model: Any) -> Callable[[str], int]:
    """Text → number of tokens: by the model's tokenizer where it is here in the process, else four characters a token.

    A served model's tokenizer is not downloaded for it: nothing is fetched unless asked for.
    """
    tokenizer = getattr(model, "tokenizer", None)
    if not callable(tokenizer):
        return approximate_tokens

    def count(text: str) -> int:
        encoded = tokenizer(encodable(text), add_special_tokens=False)
        return len(encoded["input_ids"])

    return count


def tokenizer_hash(tokenizer: Any) -> str:
    """A name for what a tokenizer does: equal hashes give equal ids for equal chats. Where it was loaded from is not part."""
    if getattr(tokenizer, "is_fast", False):
        settings = json.loads(tokenizer.backend_tokenizer.to_str())
        vocabulary: Any = {name: value for name, value in settings.items() if name not in ("padding", "truncation")}
    else:
        vocabulary = sorted(tokenizer.get_vocab().items())
    parts = [vocabulary, tokenizer.chat_template, sorted((k, str(v)) for k, v in tokenizer.special_tokens_map.items())]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]
