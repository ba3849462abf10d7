"""What an episode tells while it runs, beside the states: LangGraph's custom stream.

    for event in agent.stream({"task": id}, stream_mode="custom"): …

    {"event": "recalled", "step": 0, "query": …, "subgoal": …, "ids": […], "scores": […], "reasons": […],
     "abbreviated": [ids…], "documents": [ids…], "dropped": [ids…], "bank_version": …}         what was recalled, and why
    {"event": "acted", "step": 0, "action": …, "thought": …, "note": …, "usage": …}   `note`: what had to be repaired

All plain JSON, so that it crosses the LangGraph server as it is. Outside a graph nobody listens, and nothing happens.
"""

from __future__ import annotations

from typing import Any

from langgraph.config import get_stream_writer

from exprag.memory import MemoryState


def emit(event: str, step: int, **about: Any) -> None:
    """Tell those who stream `custom` of this graph."""
    try:
        write = get_stream_writer()
    except (RuntimeError, KeyError):  # outside a graph, or in a runnable that is none
        return
    write({"event": event, "step": step, **about})


def emit_recalled(step: int, memory: MemoryState) -> None:
    """Tell what stands in the memory from this step on."""
    emit(
        "recalled",
        step,
        query=memory.query,
        subgoal=memory.subgoal,
        ids=[item.id for item in memory.recalled],
        scores=[item.score for item in memory.recalled],
        reasons=[item.reason for item in memory.recalled],
        abbreviated=[item.id for item in memory.abbreviated],
        documents=[item.id for item in memory.documents],
        dropped=[item.id for item in memory.dropped],
        bank_version=memory.bank_version,
    )
