"""Whether the shared engine decodes for a model as the model does by itself: tried on a few tokens before it is relied on."""

from __future__ import annotations

import logging
from typing import Any

import torch

from exprag.errors import describe
from exprag.models.engine import Engine

log = logging.getLogger("exprag.models")

_TOKENS = 24
_SIMILAR = 0.99  # cosine of the logits: rounding differs, attention must not


def engine_for(model: Any, cache_bytes: int) -> Engine | None:
    """The engine of a transformers model; None, with the model as it was, where it does not decode as the model itself does
    (attention that is not plain causal, layers with a state)."""
    config = model.config.get_text_config() if hasattr(model.config, "get_text_config") else model.config
    before = getattr(model.config, "_attn_implementation", None)
    size = int(getattr(config, "vocab_size", 0) or 0)
    tokens = [(7 * place + 3) % max(size, 1) for place in range(_TOKENS)]
    try:
        with torch.inference_mode():
            expected = model(input_ids=torch.tensor([tokens], device=model.device), use_cache=False).logits[0, -1]
        engine = Engine(model, cache_bytes)
        logits = engine.logits(tokens[:-4], tokens)
        if bool(torch.isfinite(logits).all()) and _cosine(expected, logits) >= _SIMILAR:
            return engine
        reason = "its answers differ"
    except Exception as error:  # noqa: BLE001 - whatever another architecture raises, it is decoded without the engine
        reason = describe(error)
    log.info("the shared engine does not fit %s: %s Its calls are decoded one by one.", type(model).__name__, reason)
    if before is not None:
        model.set_attn_implementation(before)
    return None


def _cosine(first: torch.Tensor, second: torch.Tensor) -> float:
    return float(torch.nn.functional.cosine_similarity(first.float(), second.float(), dim=0))
