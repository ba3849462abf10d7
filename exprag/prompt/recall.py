"""From a moment to the memory in a graph's state: the one way from a bank to a prompt, for graphs and training rows alike."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from exprag.contracts import Formatter, Moment
from exprag.events import emit_recalled
from exprag.memory import MemoryState
from exprag.prompt.block import MemoryOptions, approximate_tokens, build_block
from exprag.prompt.document_block import document_block
from exprag.prompt.hint_block import within_budget
from exprag.retrieval import Retriever


def recall(
    retriever: Retriever,
    formatter: Formatter,
    moment: Moment,
    previous: MemoryState | None = None,
    options: MemoryOptions = MemoryOptions(),  # noqa: B008 - frozen
    count_tokens: Callable[[str], int] = approximate_tokens,
    *,
    trajectory_ids: Iterable[str] = (),
) -> MemoryState | None:
    """Ask the bank at a moment: the memory from now on, or None where the `previous` one stays as it is.

    `trajectory_ids` are never recalled (the episode being trained on). Raises RetrievalError naming a plugin that breaks its
    contract, BankError where the bank cannot be read.
    """
    retrieval = retriever.retrieve(moment, trajectory_ids=trajectory_ids, previous=previous)
    if retrieval is None:
        return None
    in_force = previous if previous is not None and options.growing else MemoryState()
    if options.budget is not None:
        options = replace(options, budget=max(0, options.budget - in_force.size(count_tokens)))
    candidates = [candidate for candidate in retrieval.candidates if candidate.trajectory.id not in in_force.ids]
    block = build_block(candidates, formatter, options, count_tokens)
    hits = [hit for hit in retrieval.documents if hit.document.id not in in_force.document_ids]
    documents = document_block(hits, options, count_tokens)
    text = "\n\n".join(part for part in (block.text, documents.text) if part)
    hints, usage = (previous.hints, previous.hint_usage) if previous else retriever.hints(moment, trajectory_ids)
    latest = MemoryState(
        blocks=MemoryState.from_text(text, len(moment.steps)).blocks,
        recalled=block.shown,
        abbreviated=block.abbreviated,
        dropped=(*block.dropped, *documents.dropped),
        documents=documents.shown,
        hints=within_budget(hints, options.hint_budget, count_tokens),
        hint_usage=usage,
        query=retrieval.query,
        subgoal=retrieval.subgoal,
        bank_version=retrieval.bank_version,
    )
    if previous is not None:
        latest = previous.grown_by(latest) if options.growing else previous.replaced_by(latest)
    emit_recalled(len(moment.steps), latest)
    return latest
