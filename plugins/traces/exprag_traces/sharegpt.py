"""ShareGPT-shaped rows: `{"conversations": [{"from": "human" | "gpt" | "system", "value": "…", "loss": true}]}`.

So come AgentInstruct (Zeng et al., 2023), AgentTraj (Xi et al., 2024) and ETO (Song et al., 2024); the variant with `role` and
`content`, and turns `function_call` and `observation`, are read as well.
"""

from __future__ import annotations

from typing import Any

from exprag.contracts.trace_format import Place, TraceFormat
from exprag.errors import RecordError
from exprag.traces.chat import is_chat, read_chat
from exprag.trajectory import Trajectory

_FIELDS = ("conversations", "conversation")


class ShareGpt(TraceFormat):
    """Rows with `conversations`."""

    def recognise(self, row: Any) -> bool:
        return is_chat(row, "from") or (isinstance(row, dict) and any(name in row for name in _FIELDS))

    def read(self, row: Any, place: Place) -> Trajectory:
        if isinstance(row, list):
            return read_chat("sharegpt", {}, row, place)
        name = next((name for name in _FIELDS if isinstance(row, dict) and name in row), "")
        if not name:
            raise RecordError("There is no field 'conversations'.")
        if "messages" in row:
            raise RecordError("It has both 'conversations' and 'messages'.")
        return read_chat("sharegpt", row, row[name], place, used=_FIELDS)
