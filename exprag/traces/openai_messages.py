"""Lists of messages as OpenAI's chat interface has them: `{"messages": [{"role", "content", "tool_calls", "tool_call_id"}]}`.

The bare list is read as well, as are tool calls of LangChain's form (`name`, `args`) and the older `function_call`.
"""

from __future__ import annotations

from typing import Any

from exprag.errors import RecordError
from exprag.traces.chat import is_chat, read_chat
from exprag.traces.record import Place
from exprag.trajectory import Trajectory


def recognise(row: Any) -> bool:
    return is_chat(row, "role") or (isinstance(row, dict) and "messages" in row)


def read(row: Any, place: Place) -> Trajectory:
    if isinstance(row, list):
        return read_chat("openai", {}, row, place)
    if not isinstance(row, dict) or "messages" not in row:
        raise RecordError("There is no field 'messages'.")
    return read_chat("openai", row, row["messages"], place)
