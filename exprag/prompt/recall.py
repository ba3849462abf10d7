"""From a moment to the memory of a graph's state: the one way from a bank to a prompt, for graphs and training rows alike."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from exprag.contracts.formatter import Formatter
from exprag.contracts.query_strategy import Moment
from exprag.events import emit_recalled
from exprag.prompt.block import MemoryBlock, MemoryOptions, approximate_tokens, build_block
from exprag.retrieval import Previous, Retriever
from exprag.trajectory import Recalled

if TYPE_CHECKING:
    from exprag.bank.documents.collection import DocumentHit


def recall(
    retriever: Retriever,
    formatter: Formatter,
    moment: Moment,
    previous: dict[str, Any] | None = None,
    options: MemoryOptions = MemoryOptions(),  # noqa: B008 - frozen
    count_tokens: Callable[[str], int] = approximate_tokens,
    *,
    trajectory_ids: Iterable[str] = (),
) -> dict[str, Any] | None:
    """The state's `memory` for a moment, or None where the `previous` one is to stay: the one way from a bank to a prompt, for
    graphs and training rows. `trajectory_ids` are never recalled (the episode being trained on)."""
    before = None
    if previous is not None:
        recalled = tuple(Recalled.from_dict(item) for item in previous.get("recalled", ()))
        before = Previous(recalled, previous.get("subgoal", ""))
    found = retriever.retrieve(moment, trajectory_ids=trajectory_ids, previous=before)
    if found is None:
        return None
    in_force = previous if previous is not None and options.growing else {}
    standing = _blocks(in_force)
    known = {item["id"] for item in in_force.get("recalled", ())}
    candidates = [found_one for found_one in found.candidates if found_one.trajectory.id not in known]
    if options.growing and options.budget is not None:
        options = replace(options, budget=max(0, options.budget - sum(count_tokens(block["text"]) for block in standing)))
    block = build_block(candidates, formatter, options, count_tokens)
    known_documents = {item["id"] for item in in_force.get("documents", ())}
    documents = _document_block([hit for hit in found.documents if hit.document.id not in known_documents], options, count_tokens)
    text = "\n\n".join(part for part in (block.text, documents.text) if part)
    # a block that comes back as it was stays where it stands: what a server has cached of the prompt remains good
    same = previous is not None and previous.get("text") == text
    memory = {
        "text": text,
        "at": previous["at"] if previous is not None and same else len(moment.steps),
        "earlier": standing,
        "recalled": [*in_force.get("recalled", ()), *(item.to_dict() for item in block.shown)],
        "abbreviated": [item.to_dict() for item in block.abbreviated],
        "dropped": [item.to_dict() for item in (*block.dropped, *documents.dropped)],
        "documents": [*in_force.get("documents", ()), *(item.to_dict() for item in documents.shown)],
        "query": found.query,
        "subgoal": found.subgoal,
        "bank_version": found.bank_version,
    }
    if standing and not text:  # nothing new: the blocks in force are all there is
        memory |= {"text": in_force["text"], "at": in_force["at"], "earlier": standing[:-1]}
    emit_recalled(len(moment.steps), memory)
    return memory


def _document_block(hits: Sequence[DocumentHit], options: MemoryOptions, count_tokens: Callable[[str], int]) -> MemoryBlock:
    if not hits:
        return MemoryBlock()
    from exprag.prompt.document_block import document_block

    return document_block(hits, options.document_budget, count_tokens)


def _blocks(memory: dict[str, Any]) -> list[dict[str, Any]]:
    """The blocks that stand in a growing memory, the oldest first."""
    return [*memory.get("earlier", ()), {"text": memory["text"], "at": memory["at"]}] if memory.get("text") else []
