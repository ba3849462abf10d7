"""The keys and values of token sequences, kept from call to call: what a prompt shares with an earlier one is not read again.

Each sequence has buffers of its own, one of keys and one of values for each layer, which grow as it grows. Sequences that
nobody uses are kept within a budget of bytes; the least recently used goes first.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

_TAIL = 32  # tokens at the end of a sequence that its own continuation may replace: an answer that is written otherwise
_ROOM = 256  # tokens by which a buffer grows


@dataclass(eq=False)
class CachedSequence:
    """The tokens of one sequence that the model has read, and its buffers by layer, each [heads, room, head size]."""

    tokens: list[int] = field(default_factory=list)
    keys: dict[int, torch.Tensor] = field(default_factory=dict)
    values: dict[int, torch.Tensor] = field(default_factory=dict)
    adapter: str | None = None
    busy: bool = False
    used: int = 0

    def extend(self, layer: int, keys: torch.Tensor, values: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Add the keys and values [heads, n, head size] of n new tokens behind those of `tokens`; gives all of the layer."""
        start, end = len(self.tokens), len(self.tokens) + keys.shape[1]
        old = self.keys.get(layer)
        if old is None or old.shape[1] < end:
            room = -(-end // _ROOM) * _ROOM
            for buffers, part in ((self.keys, keys), (self.values, values)):
                buffer = part.new_empty(part.shape[0], room, part.shape[2])
                if old is not None:
                    buffer[:, :start] = buffers[layer][:, :start]
                buffers[layer] = buffer
        self.keys[layer][:, start:end] = keys
        self.values[layer][:, start:end] = values
        return self.keys[layer][:, :end], self.values[layer][:, :end]

    @property
    def size(self) -> int:
        """Bytes of the buffers."""
        return sum(buffer.nbytes for buffers in (self.keys, self.values) for buffer in buffers.values())


class PrefixCache:
    """Sequences that may be gone on with. Not thread-safe: it belongs to the engine's thread."""

    def __init__(self, budget: int) -> None:
        self.budget = budget
        self._sequences: list[CachedSequence] = []
        self._clock = itertools.count(1)

    def take(self, tokens: Sequence[int], adapter: str | None = None) -> CachedSequence:
        """A sequence that holds the longest start of `tokens` that was read before with the adapter, cut to that; or a new one.

        The last token is always read again: its output is what is asked for. A sequence that others read on, or may go on with,
        is copied as far as it is shared.
        """
        source, length = self._longest(tokens, adapter)
        if source is None:
            source = CachedSequence(adapter=adapter)
            self._sequences.append(source)
        elif source.busy or len(source.tokens) - length > max(_TAIL, len(source.tokens) // 10):
            source = self._copy(source, length)
        del source.tokens[length:]
        source.busy = True
        return source

    def longest(self, tokens: Sequence[int], adapter: str | None = None) -> int:
        """How many of the first tokens have been read before with the adapter."""
        return self._longest(tokens, adapter)[1]

    def _longest(self, tokens: Sequence[int], adapter: str | None) -> tuple[CachedSequence | None, int]:
        """(the sequence that shares the longest start, how long that is), idle ones before busy ones."""
        limit = len(tokens) - 1
        best, length = None, 0
        for sequence in self._sequences:
            if sequence.adapter == adapter:
                shared = common_prefix(sequence.tokens, tokens, limit)
                if shared > length or (shared == length and best is not None and best.busy and not sequence.busy):
                    best, length = sequence, shared
        return best, length

    def give_back(self, sequence: CachedSequence) -> None:
        """The sequence is read so far; it stays as long as the budget allows."""
        sequence.busy, sequence.used = False, next(self._clock)
        self.trim()

    def drop(self, sequence: CachedSequence) -> None:
        """Forget a sequence whose reading broke off."""
        self._sequences.remove(sequence)

    def trim(self) -> None:
        """Forget the least recently used idle sequences until the budget is kept."""
        total = self.size
        for sequence in sorted((s for s in self._sequences if not s.busy), key=lambda s: s.used):
            if total <= self.budget:
                return
            total -= sequence.size
            self._sequences.remove(sequence)

    @property
    def size(self) -> int:
        """Bytes of all sequences."""
        return sum(sequence.size for sequence in self._sequences)

    def __len__(self) -> int:
        return len(self._sequences)

    def _copy(self, source: CachedSequence, length: int) -> CachedSequence:
        copy = CachedSequence(source.tokens[:length], adapter=source.adapter)
        for layer, keys in source.keys.items():
            copy.keys[layer], copy.values[layer] = keys[:, :length].clone(), source.values[layer][:, :length].clone()
        self._sequences.append(copy)
        return copy


def common_prefix(first: Sequence[Any], second: Sequence[Any], limit: int) -> int:
    """How many of the first items two sequences share, at most `limit`."""
    same, different = 0, min(len(first), len(second), limit) + 1
    while different - same > 1:  # slices are compared in C
        middle = (same + different) // 2
        if first[same:middle] == second[same:middle]:
            same = middle
        else:
            different = middle
    return same
