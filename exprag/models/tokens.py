"""Tokens as the model itself counts them, and a name for what its tokenizer does."""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from exprag.prompt.block import approximate_tokens
from exprag.text import break_token, defuse, encodable

_ROUNDS = 8
_MARKS = frozenset("<[{(|")  # no normaliser makes one of these of another ASCII character


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


def defuser(tokenizer: Any) -> Callable[[str], str]:
    """Foreign text → text in which a tokenizer sees none of its special tokens: `exprag.text.defuse`, and exactly for this
    tokenizer. None, or what is no tokenizer, gives `exprag.text.defuse` alone.

    Special are the tokens that the tokenizer calls so, and those added ones that its chat template writes.
    """
    added = getattr(tokenizer, "added_tokens_decoder", None)
    if not callable(tokenizer) or added is None:
        return defuse
    template = str(getattr(tokenizer, "chat_template", "") or "")
    special = {id: token.content for id, token in added.items() if token.special or token.content in template}
    special = {id: text for id, text in special.items() if text.strip()}
    if not special:
        return defuse
    tokens = sorted(special.values(), key=len, reverse=True)
    pattern = re.compile("|".join(map(re.escape, tokens)), re.IGNORECASE)
    ids = set(special) - {getattr(tokenizer, "unk_token_id", None)}  # an unknown character is no markup

    # Plain ASCII without the mark that each special token begins with holds none: most texts need not be tokenised for it.
    marks = {token[0] for token in tokens}
    quick = marks <= _MARKS

    @lru_cache(maxsize=4096)
    def clean(text: str) -> str:
        text = defuse(text)
        if quick and text.isascii() and marks.isdisjoint(text):
            return text
        for _ in range(_ROUNDS):
            text = defuse(pattern.sub(lambda match: break_token(match[0]), text))
            if ids.isdisjoint(tokenizer(encodable(text), add_special_tokens=False)["input_ids"]):
                return text
            text = unicodedata.normalize("NFKC", text)  # the tokenizer's own normaliser made one of look-alikes
        return "".join(f"{character}\u00b7" for character in text)  # never seen: a tokenizer that reads a token in anything

    return clean


def tokenizer_hash(tokenizer: Any) -> str:
    """A name for what a tokenizer does: equal hashes give equal ids for equal chats. Where it was loaded from is not part."""
    if getattr(tokenizer, "is_fast", False):
        settings = json.loads(tokenizer.backend_tokenizer.to_str())
        vocabulary: Any = {name: value for name, value in settings.items() if name not in ("padding", "truncation")}
    else:
        vocabulary = sorted(tokenizer.get_vocab().items())
    parts = [vocabulary, tokenizer.chat_template, sorted((k, str(v)) for k, v in tokenizer.special_tokens_map.items())]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]
