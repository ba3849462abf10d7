"""What selectors compare candidates by: relevance as a share of the best, and how much two trajectories say the same."""

from __future__ import annotations

import re
from collections.abc import Sequence

from exprag.contracts.selector import Candidate
from exprag.errors import ConfigError
from exprag.trajectory import Trajectory

_WORD = re.compile(r"\w+")


def relevance(candidates: Sequence[Candidate]) -> list[float]:
    """The scores as shares of the best, in [0, 1]: BM25 scores have no upper limit, so only their ratio says something.

    Where no score is above 0 (dot products that all point away), the ranks are what is left: 1, 1/2, 1/3 …
    """
    best = max((c.score for c in candidates), default=0.0)
    if best <= 0:
        return [1.0 / rank for rank in range(1, len(candidates) + 1)]
    return [max(0.0, c.score / best) for c in candidates]


def words(trajectory: Trajectory) -> frozenset[str]:
    """The different words of task, observations and actions, in lower case; numbers count."""
    return frozenset(_words_of(trajectory, observations=True))


def shingles(trajectory: Trajectory, size: int = 3) -> frozenset[tuple[str, ...]]:
    """The runs of `size` words of task and actions: what was to be done and what was done, in order (Broder 1997)."""
    text = _words_of(trajectory, observations=False)
    return frozenset(tuple(text[start : start + size]) for start in range(max(1, len(text) - size + 1)))


def jaccard(one: frozenset[object], other: frozenset[object]) -> float:
    """The share of what either has that both have, in [0, 1]; two empty sets are the same."""
    either = len(one | other)
    return len(one & other) / either if either else 1.0


def share(name: str, value: float) -> float:
    """An option that must lie in [0, 1]."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise ConfigError(f"{name} lies between 0 and 1; not {value!r}.")
    return float(value)


def count(name: str, value: int) -> int:
    """An option that is a number of things, 1 or more."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ConfigError(f"{name} is a whole number, 1 or more; not {value!r}.")
    return value


def pool_option(pool_size: int, among: int | None) -> int:
    """How many candidates a selector asks for per place. Version 0.1 called the option `among`: that name is still read."""
    return count("pool_size", pool_size) if among is None else count("among", among)


def _words_of(trajectory: Trajectory, observations: bool) -> list[str]:
    texts = [trajectory.task.instruction]
    for step in trajectory.steps:
        texts += [step.observation, step.action] if observations else [step.action]
    if observations:
        texts.append(trajectory.final_observation)
    return [word for text in texts for word in _WORD.findall(text.lower())]
