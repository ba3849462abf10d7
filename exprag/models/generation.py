"""What the engine is asked and what it answers: calls, and what one step reads of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field

import torch

from exprag.models.kv_cache import CachedSequence
from exprag.models.prompt_lookup import draft_tokens

DRAFTED = 10  # tokens of an answer that are drafted at most, and read in one step


@dataclass(frozen=True)
class Generated:
    """What one call gave: the new tokens without the one that ended it; why it ended, "stop" or "length"; how many tokens of
    the prompt were read, how many were in the cache, and how many were written, that one included."""

    tokens: tuple[int, ...]
    finish_reason: str
    read: int
    cached: int
    written: int


@dataclass(eq=False)
class Call:
    """One prompt, and the answer so far."""

    prompt: list[int]
    stop: frozenset[int]
    max_new_tokens: int
    temperature: float
    seed: int
    finished: Callable[[Sequence[int]], bool] | None
    adapter: str | None
    future: Future[Generated]
    sequence: CachedSequence = field(default_factory=CachedSequence)
    cached: int = 0
    answer: list[int] = field(default_factory=list)
    generator: torch.Generator | None = None

    @property
    def pending(self) -> list[int]:
        """The tokens that the model has not read yet."""
        return [*self.prompt, *self.answer][len(self.sequence.tokens) :]

    def draft(self) -> list[int]:
        """What may come next, up to the end of the answer; nothing where answers are drawn."""
        if self.generator is not None:
            return []
        drafted = draft_tokens([*self.prompt, *self.answer], min(DRAFTED, self.max_new_tokens - len(self.answer) - 1))
        end = next((n for n, token in enumerate(drafted) if token in self.stop), len(drafted))
        return drafted[:end]


@dataclass(frozen=True)
class Reading:
    """What is read of a call in one step: tokens that are known, and a draft of those that follow."""

    call: Call
    tokens: list[int]
    draft: list[int]
