"""Recall outside any graph: from a text, a task or a moment of an episode to the trajectories for a prompt."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from exprag.contracts.formatter import Formatter
from exprag.contracts.query_strategy import Moment
from exprag.errors import ConfigError
from exprag.plugins import create
from exprag.prompt.block import MemoryBlock, MemoryOptions, approximate_tokens, build_block
from exprag.retrieval import Retrieval, Retriever
from exprag.trajectory import Task

if TYPE_CHECKING:
    from exprag.bank import Bank


def as_retriever(source: Bank | Retriever | str | Path, **options: Any) -> Retriever:
    """The retriever itself, or one on this bank with `options` of `Retriever` (k, strategy, selector, where …)."""
    if isinstance(source, Retriever):
        if options:
            raise ConfigError(f"A retriever has its options already; given: {', '.join(options)}.", cure="Give a bank instead.")
        return source
    if isinstance(source, str | Path):
        from exprag.bank import Bank

        source = Bank.open(source)
    return Retriever(source, **options)


def recall(source: Bank | Retriever | str | Path, about: str | Task | Moment, **options: Any) -> Retrieval:
    """What the bank has to say about a text, a task or a moment, best first.

    A task or moment is asked as an episode asks: by the query strategy, within its environment, never its own answer. A bare
    text is the query itself, over all environments unless `where` names one; nothing can be excluded for it.
    """
    retriever = as_retriever(source, **options)
    if isinstance(about, str):
        return retriever.ask(about)
    moment = about if isinstance(about, Moment) else Moment(about)
    return retriever.retrieve(moment) or Retrieval("", (), retriever.bank.version)


def recall_block(
    source: Bank | Retriever | str | Path,
    about: str | Task | Moment,
    *,
    formatter: str | Formatter = "chat_json",
    memory: MemoryOptions = MemoryOptions(),  # noqa: B008 - frozen
    count_tokens: Callable[[str], int] = approximate_tokens,
    **options: Any,
) -> MemoryBlock:
    """The memory block for a text, a task or a moment: `recall_block("bank", "put a clean mug on the desk", k=2).text`.

    `options` are those of `Retriever`, where `source` is a bank. The text is "" where nothing was found.
    """
    retrieval = recall(source, about, **options)
    written = create("formatter", formatter) if isinstance(formatter, str) else formatter
    return build_block(retrieval.candidates, written, memory, count_tokens)
