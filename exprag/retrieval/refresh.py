"""When the bank is asked again within an episode. A refresh is one of

    once              at the start: static retrieval (ExpRAG, section 3)
    every_step        before each action: dynamic retrieval (ExpRAG, section 3)
    every_N_steps     before the first action and each N-th one after it: every_5_steps
    on_change         when the strategy's `subgoal` is another than at the last time

and the strategy's own unless the retriever is told another.
"""

from __future__ import annotations

import re

from exprag.errors import ConfigError

_EVERY = re.compile(r"every_([1-9]\d*)_steps")


def check_refresh(word: str) -> str:
    """The word, if it is one. Raises ConfigError with those that there are."""
    if word not in ("once", "every_step", "on_change") and not (isinstance(word, str) and _EVERY.fullmatch(word)):
        raise ConfigError(f"refresh is once, every_step, every_N_steps or on_change; not {word!r}.")
    return word


def is_due(word: str, step: int, already: bool) -> bool:
    """Whether to look before action number `step` (from 0). `already`: this episode has a memory, which may be an empty one.

    Under on_change the answer is always yes: only the query can tell, see `Retriever.retrieve`.
    """
    if not already:
        return True
    every = _EVERY.fullmatch(word)
    if every:
        return step % int(every[1]) == 0
    return word in ("every_step", "on_change")
