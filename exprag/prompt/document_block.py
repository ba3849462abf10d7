"""Documents as one fenced text within a token budget, for the prompt: what `build_block` is for trajectories.

Document text is untrusted as retrieved episodes are: it is fenced, told to be reference and not instruction, and markup of
chat templates in it is defused.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from exprag.bank.documents.collection import DocumentHit
from exprag.prompt.block import DOCUMENTS, MemoryBlock, MemoryOptions, approximate_tokens
from exprag.trajectory import Recalled

_UNSAFE = re.compile(r"[\s\"<>]+")


def document_block(
    hits: Sequence[DocumentHit],
    options: MemoryOptions = MemoryOptions(),  # noqa: B008 - frozen
    count_tokens: Callable[[str], int] = approximate_tokens,
) -> MemoryBlock:
    """Write documents (best first), each whole or not at all, in at most `options.document_budget` tokens.

    `shown` and `dropped` name documents by id.
    """
    parts: list[str] = []
    shown: list[Recalled] = []
    dropped: list[Recalled] = []
    for hit in hits:
        id = str(hit.document.id)
        item = Recalled(id=id, score=hit.score, reason="document")
        body = options.defuse(hit.document.page_content)
        part = f'<document id="{_UNSAFE.sub(" ", options.defuse(id))[:120]}">\n{body}\n</document>'
        limit = options.document_budget
        if limit is not None and count_tokens("\n".join([DOCUMENTS, *parts, part])) > limit:
            dropped.append(item)
            continue
        parts.append(part)
        shown.append(item)
    return MemoryBlock("\n".join([DOCUMENTS, *parts]) if parts else "", tuple(shown), dropped=tuple(dropped))
