"""Working memory: the episode's own earlier turns, compressed when they grow.

The long-term bank says what happened in other episodes; this says, shortly, what happened in this one. It is deterministic and
asks no model: what was done and the beginning of what it led to, one line a turn.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from exprag.errors import ConfigError
from exprag.prompt.block import approximate_tokens
from exprag.trajectory import Step

EARLIER = "Earlier in this episode:"
_SEEN = 80  # characters kept of an observation


@dataclass(frozen=True)
class History:
    """Turns stand as they were until they take more than `budget` tokens; then all but the last `recent` become one line each.

    The rule looks at the steps alone, and compresses many turns at once, seldom: between two compressions each prompt
    extends the one before, which servers cache and training rows share.
    """

    budget: int
    recent: int = 4
    count_tokens: Callable[[str], int] = approximate_tokens

    def __post_init__(self) -> None:
        if self.budget < 1 or self.recent < 0:
            raise ConfigError("A history needs a budget of at least 1 token, and 0 or more recent turns.")

    def compress(self, steps: Sequence[Step], turns: Sequence[str]) -> tuple[int, str]:
        """(how many of the first turns are compressed, their text). `turns` are the assistant's texts of the steps."""
        first = size = 0
        sizes = [self.count_tokens(f"{step.observation}\n{turn}") for step, turn in zip(steps, turns, strict=True)]
        for number, tokens in enumerate(sizes):
            size += tokens
            if size > self.budget and number + 1 - self.recent > first:
                first = number + 1 - self.recent
                size = sum(sizes[first : number + 1])
        if not first:
            return 0, ""
        after = [step.observation for step in steps[1 : first + 1]]
        after += [""] * (first - len(after))
        return first, "\n".join([EARLIER, *(_line(step.action, text) for step, text in zip(steps[:first], after, strict=True))])


def _line(action: str, led_to: str) -> str:
    text = " ".join(led_to.split())
    return f"- {' '.join(action.split())}: {text[:_SEEN]}{'…' if len(text) > _SEEN else ''}"
