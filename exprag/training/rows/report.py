"""What became of the trajectories: rows kept, shortened and dropped, each with its reasons."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from exprag.training.rows.tokens import Tokens


@dataclass
class Report:
    """Counts of one build.

    episodes, left_out          trajectories looked at, and those without rows, by reason
    rows, turns                 rows kept, and the turns learnt in them
    shortened, dropped          rows kept with less memory than was recalled, and rows left out, by reason
    memory, nothing_recalled    rows kept, by the state of their memory; those that were to have one and found nothing
    other_versions              episodes of another version of their environment that were allowed
    tokens, learnt, longest     tokens in all rows, those that are learnt, those of the longest row; 0 without a tokenizer
    """

    episodes: int = 0
    left_out: Counter[str] = field(default_factory=Counter)
    rows: int = 0
    turns: int = 0
    shortened: Counter[str] = field(default_factory=Counter)
    dropped: Counter[str] = field(default_factory=Counter)
    memory: Counter[str] = field(default_factory=Counter)
    nothing_recalled: int = 0
    other_versions: int = 0
    tokens: int = 0
    learnt: int = 0
    longest: int = 0

    def count_tokens(self, tokens: Tokens) -> None:
        self.tokens += len(tokens.input_ids)
        self.learnt += tokens.trained
        self.longest = max(self.longest, len(tokens.input_ids))

    def why_none(self) -> str:
        """One clause for an error: why no row came out."""
        left_out = {f"episodes {why}": count for why, count in self.left_out.items()}
        return _listed({**left_out, **self.dropped}) or "there are no trajectories"

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON."""
        return {name: dict(value) if isinstance(value, Counter) else value for name, value in vars(self).items()}

    def __str__(self) -> str:
        told = [f"{self.rows} rows of {self.episodes - self.left_out.total()} episodes, {self.turns} turns to learn"]
        if self.tokens:
            told.append(f"{self.tokens} tokens, {self.learnt} of them learnt, {self.longest} in the longest row")
        told.append("memory: " + _listed(self.memory))
        if self.nothing_recalled:
            told.append(f"{self.nothing_recalled} rows found nothing to recall")
        if self.other_versions:
            told.append(f"{self.other_versions} episodes of another version of their environment")
        for name, counts in (("shortened", self.shortened), ("dropped", self.dropped), ("episodes left out", self.left_out)):
            told.append(f"{name}: {_listed(counts) or 'none'}")
        return "\n".join(told)


def _listed(counts: dict[str, int]) -> str:
    return ", ".join(f"{count} {why}" for why, count in counts.items())
