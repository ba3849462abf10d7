"""Attention over sequences that stand side by side in one row, each with its own keys and values: for `exprag.models.engine`.

Registered with transformers as an attention implementation, so that any model of theirs that goes through its attention
interface can be used; positions and everything else stay the model's own.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

import torch
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface
from transformers.masking_utils import AttentionMaskInterface

from exprag.errors import ConfigError
from exprag.models.kv_cache import CachedSequence

IMPLEMENTATION = "exprag_ragged"


@dataclass(frozen=True)
class Segment:
    """`length` tokens of a sequence, from `start` on in the row."""

    sequence: CachedSequence
    start: int
    length: int


@dataclass(frozen=True)
class _Pass:
    """The segments of one forward pass, and the masks that its layers share: by tokens, tokens in all, and window."""

    segments: Sequence[Segment]
    masks: dict[tuple[int, int, int | None], torch.Tensor] = field(default_factory=dict)

    def mask(self, length: int, total: int, window: int | None, like: torch.Tensor) -> torch.Tensor:
        """The causal mask [length, total] of the last tokens of a sequence, as numbers that are added to the scores."""
        key = (length, total, window)
        if key not in self.masks:
            places = torch.arange(total, device=like.device)
            distance = places[total - length :, None] - places
            visible = distance >= 0 if window is None else (distance >= 0) & (distance < window)
            self.masks[key] = like.new_zeros(length, total).masked_fill_(~visible, float("-inf"))
        return self.masks[key]


_pass: ContextVar[_Pass] = ContextVar("pass")


@contextmanager
def attending(segments: Sequence[Segment]) -> Iterator[None]:
    """Within: the row of a forward pass consists of these segments."""
    token = _pass.set(_Pass(segments))
    try:
        yield
    finally:
        _pass.reset(token)


def ragged_attention(
    module: Any,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    scaling: float | None = None,
    sliding_window: int | None = None,
    softcap: float | None = None,
    **kwargs: Any,
) -> tuple[torch.Tensor, None]:
    """Causal attention of each segment over its own sequence. query [1, heads, tokens, size], key and value with as many heads
    as the model keeps; gives [1, tokens, heads, size]. Raises ConfigError for attention that is not plain causal."""
    if softcap is not None or kwargs.get("s_aux") is not None or not getattr(module, "is_causal", True):
        raise ConfigError("The shared engine knows causal attention alone; this model has another.", cure="Use engine=off.")
    output = torch.empty_like(query)
    forward = _pass.get()
    for segment in forward.segments:
        row = slice(segment.start, segment.start + segment.length)
        keys, values = segment.sequence.extend(module.layer_idx, key[0, :, row], value[0, :, row])
        length, total = segment.length, keys.shape[1]
        mask = None
        window = sliding_window if sliding_window is not None and total > sliding_window else None
        if length > 1 and (length < total or window):
            mask = forward.mask(length, total, window, query)
        elif window:
            keys, values = keys[:, -window:], values[:, -window:]
        queries = query[:, :, row]
        if length == 1:
            # heads that share a key as rows of one product: else torch takes seven times as long for one new token in bf16
            queries = queries.reshape(1, keys.shape[0], -1, queries.shape[-1])
        attended = scaled_dot_product_attention(
            queries,
            keys[None],
            values[None],
            attn_mask=mask,
            is_causal=mask is None and length > 1,
            scale=scaling,
            enable_gqa=queries.shape[1] != keys.shape[0],
        )
        output[:, :, row] = attended.reshape(1, query.shape[1], length, -1)
    return output.transpose(1, 2).contiguous(), None


AttentionInterface.register(IMPLEMENTATION, ragged_attention)
AttentionMaskInterface.register(IMPLEMENTATION, lambda *args, **kwargs: None)
