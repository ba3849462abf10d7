"""How a run stands, in one line: success with its interval, speed, tokens, cache hits, time left."""

from __future__ import annotations

from dataclasses import dataclass, field

from exprag.runs.totals import Totals


@dataclass
class Standing:
    """`done` of `total` episodes are over (None: nobody knows how many there are). `whole` adds up all of them, `recent` those of
    the last `seconds`, from which speed and time left are taken."""

    done: int
    total: int | None
    whole: Totals
    recent: Totals = field(default_factory=Totals)
    seconds: float = 0.0

    def text(self) -> str:
        parts = [self._success(), *self._speed(), self._cached(), self._left()]
        return ", ".join(part for part in parts if part)

    def _success(self) -> str:
        n, successes = self.whole.episodes, self.whole.successes
        if not n:
            return ""
        from exprag.evaluation.statistics import wilson

        interval = wilson(successes, n)
        assert interval is not None
        return f"{successes}/{n} successful = {successes / n:.0%} (95 %: {interval.low:.0%} to {interval.high:.0%})"

    def _speed(self) -> list[str]:
        if not self.recent.episodes or self.seconds <= 0:
            return []
        tokens = self.recent.tokens
        count = tokens.prompt + tokens.completion
        return [f"{_rate(self.recent.steps / self.seconds)} steps/s", f"{_rate(count / self.seconds)} tokens/s" if count else ""]

    def _cached(self) -> str:
        tokens = self.whole.tokens
        return f"{tokens.cached / tokens.prompt:.0%} of the prompts from a cache" if tokens.cached else ""

    def _left(self) -> str:
        if self.total is None or not self.recent.episodes or self.done >= self.total:
            return ""
        return f"{duration((self.total - self.done) * self.seconds / self.recent.episodes)} left"


def duration(seconds: float) -> str:
    """4.5 s, 45 s, 12 min, 3 h 20 min, 2 d 4 h."""
    if seconds < 90:
        return f"{seconds:.1f} s" if seconds < 9.95 else f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    if minutes < 90:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours < 36 else f"{hours // 24} d {hours % 24} h"


def _rate(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 else f"{value:.2g}"
