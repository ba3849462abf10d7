"""What a run will take: episodes, steps, tokens and cost, from the episodes so far or from the first prompt."""

from __future__ import annotations

from dataclasses import dataclass

from exprag.metering import Tokens
from exprag.runs.totals import Prices, Totals, cost

ANSWER = 20
"""Tokens that a turn of the model is taken to have where there are no episodes to go by."""


@dataclass(frozen=True)
class Prompt:
    """Tokens of the first prompt, and of what each step adds to it: an observation and the turn before it."""

    first: int
    per_step: int


@dataclass(frozen=True)
class Estimate:
    """What is left to play. `measured`: by the episodes so far; else it is the most, with every episode going to its step limit.

    `tokens` is None where nothing is known of them, `cost` (US dollars) where nothing is known of prices.
    """

    episodes: int
    steps: int
    measured: bool
    tokens: Tokens | None = None
    cost: float | None = None

    def text(self) -> str:
        """In one line; "" where nothing is left."""
        if not self.episodes:
            return ""
        parts = [f"{'about' if self.measured else 'at most'} {self.steps:,} steps"]
        if self.tokens is not None:
            parts.append(f"about {self.tokens.prompt:,} tokens read and {self.tokens.completion:,} written")
        if self.cost is not None:
            parts.append(f"${self.cost:,.2f}")
        return f"{', '.join(parts)}{' by the episodes so far' if self.measured else ''}"


def estimate(left: int, step_limit: int, totals: Totals, prices: Prices | None, prompt: Prompt | None = None) -> Estimate:
    """For `left` episodes to play: by the means of the episodes so far, of which `totals` is the sum, else at most.

    Without episodes the tokens come from the first prompt: a prompt of step t is taken to be the first and t times what a step
    adds, so that an episode of T steps reads T · first + T (T - 1) / 2 · per_step tokens. None of them is taken to be cached.
    """
    if totals.episodes and totals.steps:
        share = left / totals.episodes
        counts = totals.tokens
        numbers = (counts.calls, counts.prompt, counts.completion, counts.cached)
        tokens = Tokens(*(round(share * number) for number in numbers)) if totals.usage else None
        so_far = cost(totals, prices)
        money = None if so_far is None else share * so_far
        return Estimate(left, round(share * totals.steps), True, tokens, money)
    steps = left * step_limit
    if prompt is None:
        return Estimate(left, steps, False)
    read = steps * prompt.first + left * (step_limit * (step_limit - 1) // 2) * prompt.per_step
    tokens = Tokens(steps, read, steps * ANSWER)
    return Estimate(left, steps, False, tokens, prices.cost(tokens) if prices else None)
