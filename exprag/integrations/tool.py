"""Experience as a tool: for agents that would rather ask than be told."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from langchain_core.tools import StructuredTool

from exprag.contracts.formatter import Formatter
from exprag.integrations.recall import as_retriever, recall_block
from exprag.plugins import create
from exprag.prompt.block import MemoryOptions, approximate_tokens
from exprag.retrieval import Retriever

if TYPE_CHECKING:
    from exprag.bank import Bank

NAME = "search_experience"
DESCRIPTION = (
    "Look up past episodes that resemble a problem: how they went step by step, and whether they succeeded. "
    "Ask with a description of the task or situation."
)
NOTHING = "No past episode resembles this."


def search_experience_tool(
    source: Bank | Retriever | str | Path,
    *,
    formatter: str | Formatter = "chat_json",
    memory: MemoryOptions = MemoryOptions(),  # noqa: B008 - frozen
    count_tokens: Callable[[str], int] = approximate_tokens,
    name: str = NAME,
    description: str = DESCRIPTION,
    **options: Any,
) -> StructuredTool:
    """A tool that takes a query and answers with a memory block: `create_agent(model, tools=[search_experience_tool(bank)])`.

    `options` are those of `Retriever` (k, where …), where `source` is a bank. The tool message's artifact lists what was
    shown, as Recalled records. The question is the agent's own, so no task is excluded: filter with `where` in experiments.
    """
    retriever = as_retriever(source, **options)
    written = create("formatter", formatter) if isinstance(formatter, str) else formatter

    def search(query: Annotated[str, "What to look for."]) -> tuple[str, list[dict[str, Any]]]:
        block = recall_block(retriever, query, formatter=written, memory=memory, count_tokens=count_tokens)
        return block.text or NOTHING, [recall.to_dict() for recall in block.shown]

    return StructuredTool.from_function(search, name=name, description=description, response_format="content_and_artifact")
