"""Threads of LangGraph in a SQLite file of `SqliteSaver`: the last checkpoint of each thread is an episode.

A thread of exprag's own graph holds its Trajectory and gives that. Of any other thread, the messages of its state are read, with
what `ExperienceMiddleware` recalled, where it did. Checkpoints hold objects: only messages and plain data are made of them, by
LangGraph's own list of safe types, and nothing else is imported. The file is opened for reading only.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from exprag.contracts.trace_format import Place, TraceFormat
from exprag.errors import ConfigError, RecordError, boundary
from exprag.traces.chat import read_chat
from exprag.trajectory import Task, Trajectory

_MAGIC = b"SQLite format 3\x00"
_LATEST = """SELECT thread_id, checkpoint_ns, type, checkpoint FROM checkpoints AS c WHERE checkpoint_ns = '' AND checkpoint_id =
(SELECT max(checkpoint_id) FROM checkpoints WHERE thread_id = c.thread_id AND checkpoint_ns = '') ORDER BY thread_id"""


class Checkpoints(TraceFormat):
    """Rows `{"thread": …, "messages": […]}` or `{"thread": …, "trajectory": {…}}`, made from a SQLite file."""

    def recognise(self, row: Any) -> bool:
        return isinstance(row, dict) and "thread" in row and ("trajectory" in row or "channels" in row)

    def rows(self, file: Path) -> Iterator[tuple[str, Any]] | None:
        with file.open("rb") as source:
            if source.read(len(_MAGIC)) != _MAGIC:
                return None
        return _threads(file)

    def read(self, row: Any, place: Place) -> Trajectory:
        if not isinstance(row, dict):
            raise RecordError("It is not a thread.")
        if row.get("fault"):
            raise RecordError(str(row["fault"]))
        thread = str(row.get("thread", ""))
        if isinstance(row.get("trajectory"), dict):
            return Trajectory.from_dict(row["trajectory"])
        if not isinstance(row.get("messages"), list):
            channels = ", ".join(map(str, row.get("channels") or ()))[:200]
            raise RecordError(f"The thread has no messages; its state holds: {channels or 'nothing'}.")
        trajectory = read_chat("langgraph", {"id": thread}, row["messages"], place)
        experience = row.get("experience")
        if not isinstance(experience, dict):
            return trajectory
        task = Task.from_dict(experience["task"]) if isinstance(experience.get("task"), dict) else trajectory.task
        recalled = experience.get("recalled") or ()
        steps = [step.to_dict() | {"recalled": recalled} for step in trajectory.steps]
        return Trajectory.from_dict({**trajectory.to_dict(), "id": "", "task": task.to_dict(), "steps": steps})


def _threads(file: Path) -> Iterator[tuple[str, Any]]:
    from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer

    serializer = JsonPlusSerializer(pickle_fallback=False, allowed_msgpack_modules=None)
    cure = "Name a SQLite file that LangGraph's SqliteSaver wrote."
    with boundary(ConfigError, f"The file {file} cannot be read", cure=cure, catch=(sqlite3.Error,)):
        connection = sqlite3.connect(f"{file.resolve().as_uri()}?mode=ro", uri=True)
    with closing(connection):
        with boundary(ConfigError, f"The file {file} holds no checkpoints", cure=cure, catch=(sqlite3.Error,)):
            cursor = connection.execute(_LATEST)
        while True:
            with boundary(ConfigError, f"The file {file} is damaged", cure=cure, catch=(sqlite3.Error,)):
                entry = next(cursor, None)
            if entry is None:
                return
            thread, _, kind, blob = entry
            yield str(thread), _row(serializer, str(thread), kind, blob)


def _row(serializer: Any, thread: str, kind: str, blob: bytes) -> dict[str, Any]:
    try:
        values = dict(serializer.loads_typed((kind, blob))["channel_values"])
    except Exception as error:  # noqa: BLE001 - a damaged checkpoint is one bad row
        return {"thread": thread, "fault": f"The checkpoint cannot be read: {type(error).__name__}."}
    row: dict[str, Any] = {"thread": thread, "channels": sorted(map(str, values))}
    if isinstance(values.get("trajectory"), dict):
        row["trajectory"] = values["trajectory"]
    elif isinstance(values.get("messages"), list):
        row["messages"] = [message_row(message) for message in values["messages"]]
        row["experience"] = values.get("experience")
    return row


def message_row(message: Any) -> Any:
    """A message of LangChain as OpenAI's interface has it; what is not one stays, for the reader to refuse."""
    from langchain_core.messages import AIMessage, BaseMessage, ToolMessage

    from exprag.integrations.conversation import calls_in

    if not isinstance(message, BaseMessage):
        return message
    row: dict[str, Any] = {"role": message.type, "content": message.content}
    if isinstance(message, AIMessage):
        row["tool_calls"] = [{name: call[name] for name in ("id", "name", "args")} for call in calls_in(message)]
        row["reasoning_content"] = message.additional_kwargs.get("reasoning_content")
    elif isinstance(message, ToolMessage):
        row["tool_call_id"] = message.tool_call_id
    return row
