"""What the episodes of a run add up to: outcomes, steps, tokens and seconds by boundary, and what that costs."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Self

from exprag.errors import ConfigError, RunError
from exprag.metering import Tokens
from exprag.runs.config import RunConfig
from exprag.runs.episode_index import Entry

_MILLION = 1_000_000


@dataclass
class Totals:
    """Sums over episodes. `errors` counts those that broke off, by boundary; `usage` and `seconds` are by boundary as well.
    `reported` is what providers said that their calls cost, in US dollars; None where none said so."""

    episodes: int = 0
    successes: int = 0
    steps: int = 0
    errors: dict[str, int] = field(default_factory=dict)
    usage: dict[str, Tokens] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    reported: float | None = None

    @classmethod
    def of(cls, entries: Iterable[Entry]) -> Self:
        totals = cls()
        for entry in entries:
            totals.add(entry)
        return totals

    def add(self, entry: Entry) -> None:
        self.episodes += 1
        self.successes += bool(entry.success)
        self.steps += entry.steps
        if entry.error:
            self.errors[entry.error] = self.errors.get(entry.error, 0) + 1
        for name, (calls, prompt, completion, cached) in entry.usage.items():
            tokens = self.usage.setdefault(name, Tokens())
            tokens.calls += calls
            tokens.prompt += prompt
            tokens.completion += completion
            tokens.cached += cached
        for name, seconds in entry.seconds.items():
            self.seconds[name] = self.seconds.get(name, 0.0) + seconds
        if entry.cost is not None:
            self.reported = (self.reported or 0.0) + entry.cost

    @property
    def tokens(self) -> Tokens:
        """Of all boundaries together."""
        names = ("calls", "prompt", "completion", "cached")
        return Tokens(*(sum(getattr(tokens, name) for tokens in self.usage.values()) for name in names))


@dataclass(frozen=True)
class Prices:
    """US dollars per million tokens: read, written, and read from the provider's cache."""

    prompt: float
    completion: float
    cached: float

    @classmethod
    def of(cls, config: RunConfig) -> Prices | None:
        """The prices of a configuration; None where it has none. Raises ConfigError where one is missing."""
        prompt, completion, cached = config.price_prompt, config.price_completion, config.price_cached
        if prompt is None and completion is None and cached is None:
            return None
        if prompt is None or completion is None:
            missing = "price_prompt" if prompt is None else "price_completion"
            raise ConfigError(f"Prices without {missing}.", cure=f"Give --{missing.replace('_', '-')} too; 0 where it is free.")
        return cls(prompt, completion, prompt if cached is None else cached)

    def cost(self, tokens: Tokens) -> float:
        """In US dollars."""
        read = max(0, tokens.prompt - tokens.cached) * self.prompt + tokens.cached * self.cached
        return (read + tokens.completion * self.completion) / _MILLION


def cost(totals: Totals, prices: Prices | None) -> float | None:
    """What the calls cost by these prices, else what the providers reported; None where nobody says."""
    return totals.reported if prices is None else prices.cost(totals.tokens)


class Budget:
    """What a run may take: tokens and money over all its episodes, those of earlier calls included, and minutes of this call."""

    def __init__(self, config: RunConfig) -> None:
        self._config, self._prices = config, Prices.of(config)
        self._began = time.monotonic()

    def spent(self, totals: Totals) -> str:
        """Which part of the budget is spent, in words; "" where there is some left.

        Raises RunError where nobody says what the calls take, so that the budget cannot be held.
        """
        config = self._config
        if config.policy == "agent" and totals.steps:
            self._check(totals)
        tokens, money = totals.tokens.prompt + totals.tokens.completion, cost(totals, self._prices) or 0.0
        if config.budget_tokens is not None and tokens >= config.budget_tokens:
            return f"the budget of {config.budget_tokens:,} tokens is spent ({tokens:,})"
        if config.budget_cost is not None and money >= config.budget_cost:
            return f"the budget of ${config.budget_cost:,.2f} is spent (${money:,.4f})"
        if config.budget_minutes is not None and time.monotonic() - self._began >= 60 * config.budget_minutes:
            return f"the budget of {config.budget_minutes:g} minutes is spent"
        return ""

    def _check(self, totals: Totals) -> None:
        config = self._config
        if not totals.usage and (config.budget_tokens is not None or (config.budget_cost is not None and self._prices)):
            raise RunError(
                "The model does not say how many tokens its calls take, so that a budget of tokens or money cannot be held.",
                cure="Give --budget-minutes in its place.",
            )
        if config.budget_cost is not None and cost(totals, self._prices) is None:
            raise RunError("Nobody says what the model's calls cost.", cure="Give --price-prompt and --price-completion.")
