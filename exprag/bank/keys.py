"""Keys: the texts of a query strategy for trajectories, checked, embedded and written as Arrow columns."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import pyarrow as pa

from exprag.bank.encoders import Encoder, checked
from exprag.bank.schema import key_columns
from exprag.contracts.query_strategy import QueryStrategy, StepStrategy
from exprag.errors import ConfigError, RetrievalError, boundary
from exprag.faults import advise, name_component
from exprag.text import utf8
from exprag.trajectory import Trajectory


@lru_cache(maxsize=64)
def strategy_plugin(name: str) -> QueryStrategy:
    """The plugin of a query strategy with its default options, under whose name a bank holds keys."""
    from exprag.plugins import create

    if not re.fullmatch(r"\w[\w-]*", name):
        raise ConfigError(f"{name!r} cannot name the keys of a bank.", cure="Use the short name of a query strategy.")
    strategy = create("query_strategy", name)
    if not isinstance(strategy, QueryStrategy):
        raise RetrievalError(f"The query strategy {name!r} is a {type(strategy).__name__}, not a QueryStrategy.")
    return strategy


def by_step(name: str) -> bool:
    """Whether the strategy has a key for each step."""
    return isinstance(strategy_plugin(name), StepStrategy)


def columns_of(
    name: str,
    listed: bool,
    trajectories: Sequence[Trajectory],
    encoder: Callable[[], Encoder] | None,
    dimension: int,
    prefix: str = "",
) -> dict[str, pa.Array]:
    """The columns of one strategy for these trajectories. `listed`: the bank holds its keys by step.

    Raises RetrievalError naming the plugin where it raises, gives no text, or gives them by step and the bank does not.
    """
    strategy = strategy_plugin(name)
    if isinstance(strategy, StepStrategy) != listed:
        raise RetrievalError(
            f"The query strategy {name!r} gives {'one key' if listed else 'keys by step'}; the bank holds the other kind.",
            cure="Make a new bank from this one's export, or install the plugin that the bank was made with.",
        )
    counts: list[int] | None = None
    if isinstance(strategy, StepStrategy):
        keys = [_step_keys(name, strategy, trajectory) for trajectory in trajectories]
        counts = [len(texts) for texts in keys]
        flat = [text for texts in keys for text in texts]
    else:
        flat = [_text(name, trajectory, _call(name, strategy.key, trajectory)) for trajectory in trajectories]
    vectors = None
    if encoder is not None:
        loaded = encoder()
        vectors = checked(loaded.encode_keys(flat), (len(flat), dimension), loaded.spec) if flat else _no_vectors(dimension)
    return key_columns(name, [utf8(text) for text in flat], vectors, counts, prefix)


def _step_keys(name: str, strategy: StepStrategy, trajectory: Trajectory) -> list[str]:
    texts: Any = _call(name, strategy.keys, trajectory)
    if not isinstance(texts, list | tuple) or len(texts) != len(trajectory.steps):
        count = f"{len(texts)} keys" if isinstance(texts, list | tuple) else f"a {type(texts).__name__}"
        raise RetrievalError(
            f"The {name_component('query_strategy', name)} gave {count} for the {len(trajectory.steps)} steps of trajectory "
            f"{trajectory.id!r}; it must give one text for each.",
            cure=advise("query_strategy", name),
        )
    return [_text(name, trajectory, text) for text in texts]


def _call(name: str, method: Callable[[Trajectory], Any], trajectory: Trajectory) -> Any:
    cure = f"The trajectory is {trajectory.id!r}. {advise('query_strategy', name)}"
    with boundary(RetrievalError, f"The {name_component('query_strategy', name)} raised", cure=cure):
        return method(trajectory)


def _text(name: str, trajectory: Trajectory, key: Any) -> str:
    if not isinstance(key, str):
        raise RetrievalError(
            f"The {name_component('query_strategy', name)} gave a {type(key).__name__} as key of trajectory {trajectory.id!r}; "
            "it must give text.",
            cure=advise("query_strategy", name),
        )
    return key


def _no_vectors(dimension: int) -> Any:
    import numpy as np

    return np.empty((0, dimension), dtype=np.float32)
