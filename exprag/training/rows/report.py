"""What became of the trajectories: rows kept, shortened and dropped, each with its reasons."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from exprag.training.rows.tokens import Tokens


@dataclass
class Report:
    """Counts of one build."""

    episodes: int = 0
    """Trajectories that were looked at."""
    left_out: Counter[str] = field(default_factory=Counter)
    """Those without rows, by reason."""
    rows: int = 0
    """Rows that were built."""
    turns: int = 0
    """Turns that are learnt in them."""
    shortened: Counter[str] = field(default_factory=Counter)
    """Rows with less memory than was recalled, by reason."""
    dropped: Counter[str] = field(default_factory=Counter)
    """Rows that were left out, by reason."""
    memory: Counter[str] = field(default_factory=Counter)
    """Rows by the state of their memory (`exprag.training.rows.mixing`)."""
    nothing_recalled: int = 0
    """Rows that were to have a memory, for which the bank had nothing."""
    other_versions: int = 0
    """Episodes of another version of their environment that were allowed."""
    renamed: int = 0
    """Episodes whose words were renamed."""
    tokens: int = 0
    """Tokens in all rows; 0 without a tokenizer, as the next two."""
    learnt: int = 0
    """Tokens that are learnt."""
    longest: int = 0
    """Tokens of the longest row."""
    notes: list[str] = field(default_factory=list)
    """What else is to be known before these rows are trained on, a sentence each."""

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
        lines = [f"{self.rows} rows of {self.episodes - self.left_out.total()} episodes, {self.turns} turns to learn"]
        if self.tokens:
            lines.append(f"{self.tokens} tokens, {self.learnt} of them learnt, {self.longest} in the longest row")
        lines.append("memory: " + _listed(self.memory))
        if self.nothing_recalled:
            lines.append(f"{self.nothing_recalled} rows found nothing to recall")
        if self.renamed:
            lines.append(f"{self.renamed} episodes in renamed words")
        if self.other_versions:
            lines.append(f"{self.other_versions} episodes of another version of their environment")
        for name, counts in (("shortened", self.shortened), ("dropped", self.dropped), ("episodes left out", self.left_out)):
            lines.append(f"{name}: {_listed(counts) or 'none'}")
        return "\n".join([*lines, *self.notes])


def _listed(counts: dict[str, int]) -> str:
    return ", ".join(f"{count} {why}" for why, count in counts.items())
