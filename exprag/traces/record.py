"""What the readers of foreign formats share: where a row stands, what its fields say of the outcome, the record it becomes."""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

from exprag.contracts.trace_format import Place
from exprag.errors import RecordError
from exprag.trajectory import Trajectory

_IDS = ("id", "task_id", "task_instance_id", "item_id", "session", "index")
_SUCCESS = ("success", "won", "is_success", "solved", "resolved")
_SCORE = ("score", "reward", "final_reward")
_LONGEST_FIELD = 300
_MOST_LEFT_OUT = 20
_GOAL = re.compile(
    r"(?:\byour (?:task|goal) is(?: to)?|(?:^|\[SEP\])[ \t]*(?:task|goal|instruction|question))[ \t]*:(?:\s|\[SEP\])*([^\n]+)",
    re.IGNORECASE | re.MULTILINE,
)


def make(
    format: str,
    place: Place,
    row: Mapping[str, Any],
    steps: Sequence[Mapping[str, Any]],
    *,
    instruction: str = "",
    final_observation: str = "",
    preamble: str = "",
    ended: str = "terminated",
    used: Sequence[str] = (),
    left_out: Sequence[str] = (),
    more: Mapping[str, Any] | None = None,
) -> Trajectory:
    """The record of one foreign row. `steps` are data of Step; `preamble` is what the model was told before the task.

    The outcome is what the row's fields say, else unknown. Fields that have no place in the record are kept in
    `provenance.extra["fields"]`, as far as they are short; longer ones, but for those that were `used`, are named in
    `provenance.extra["left_out"]` beside the phrases of `left_out`. `more` is added to the extra. Raises RecordError where a
    value does not fit.
    """
    if not steps:
        raise RecordError("It holds no turn of an agent.")
    success, score = outcome(row)
    id = next((str(row[name]) for name in _IDS if isinstance(row.get(name), str | int) and row[name] != ""), place.key)
    words = json.dumps(instruction or [step.get("observation", "") for step in steps][:1])
    fields = {name: value for name, value in row.items() if _short(value) and name not in _IDS}
    long = [name for name, value in row.items() if name not in (*used, *fields, *_IDS) and value not in (None, "", [], {})]
    lost = [*dict.fromkeys(left_out), *(f"the field {name[:60]!r}" for name in long)]
    extra = {"format": format, "file": place.file, "row": place.row, "key": place.key, "preamble": preamble, "fields": fields}
    extra |= {"left_out": lost[:_MOST_LEFT_OUT], **(more or {})}
    return Trajectory.from_dict(
        {
            "task": {
                "environment": place.environment,
                "id": id or hashlib.sha256(words.encode()).hexdigest()[:16],
                "instruction": instruction,
                "type": text_or_none(row, "task_type") or text_or_none(row, "type") or "",
                "split": text_or_none(row, "split") or "",
            },
            "steps": list(steps),
            "final_observation": final_observation,
            "success": success,
            "score": score,
            "ended": ended,
            "source": row["source"] if row.get("source") in ("expert", "agent", "human") else "agent",
            "provenance": {
                "run": place.file,
                "model": text_or_none(row, "model") or "",
                "extra": {name: value for name, value in extra.items() if value not in ("", {}, [])},
            },
        }
    )


def outcome(row: Mapping[str, Any]) -> tuple[bool | None, float | None]:
    """Success and score as the row's fields say. A score of 1 is a success and one in [-1, 1) is not; beyond [-1, 1] it is on a
    scale that nobody named, and says nothing. Raises RecordError where such a field holds something else."""
    name, verdict = next(((name, row[name]) for name in _SUCCESS if row.get(name) is not None), ("", None))
    if verdict is not None and not (isinstance(verdict, bool) or (isinstance(verdict, int | float) and verdict in (0, 1))):
        raise RecordError(f"{name}: expected true or false, not {_named(verdict)}.")
    success = None if verdict is None else bool(verdict)
    name, score = next(((name, row[name]) for name in _SCORE if row.get(name) is not None), ("", None))
    if score is None:
        return success, None if success is None else float(success)
    if not isinstance(score, int | float):
        raise RecordError(f"{name}: expected a number, not {_named(score)}.")
    if not -1 <= score <= 1:
        return success, None if success is None else float(success)
    return (score == 1 if success is None else success), float(score)


def goal(text: str) -> str:
    """The last task that the text states after "Your task is to:", "Task:", "Instruction:" or "Question:"; "" without one."""
    tasks = _GOAL.findall(text)
    return _cut(tasks[-1]) if tasks else ""


def goals(text: str) -> set[str]:
    """The different tasks that the text states, as `goal` finds them."""
    return {_cut(task) for task in _GOAL.findall(text)}


def _cut(task: str) -> str:
    return task.split("[SEP]")[0].strip()


def text_or_none(row: Mapping[str, Any], name: str) -> str | None:
    """The field, where it is text."""
    value = row.get(name)
    return value if isinstance(value, str) else None


def content_text(content: Any, where: str, left_out: list[str] | None = None) -> str:
    """The text of a message: a string, nothing, or a list of parts, of which images, sound and files are named by reference:
    their address, or the hash of data that stood in the row itself. Such data are named in `left_out`.

    Raises RecordError for anything else."""
    if content is None:
        return ""
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        raise RecordError(f"{where}: expected text, not {_named(content)}.")
    texts = []
    for part in content:
        kind = part.get("type") if isinstance(part, dict) else None
        if isinstance(part, str) or (isinstance(part, dict) and isinstance(part.get("text"), str)):
            texts.append(part if isinstance(part, str) else part["text"])
        elif isinstance(kind, str) and not kind.startswith("tool"):
            reference, is_whole = _reference(kind, part)
            texts.append(f"[{kind}: {reference}]" if reference else f"[{kind}]")
            if left_out is not None and not is_whole:
                left_out.append(f"the data of {kind} in the content, of which the hash is kept")
        else:
            raise RecordError(f"{where}: a part of its content is neither text nor an image.")
    return "\n".join(texts)


_ADDRESSES = ("url", "file_url", "path", "file_id", "uri")


def _reference(kind: str, part: Mapping[str, Any]) -> tuple[str, bool]:
    """(what names the image, sound or file of a part of a message, whether that is all there was)."""
    media = next((part[name] for name in (kind, "source", "image_url", "file") if part.get(name)), part)
    about = media if isinstance(media, dict) else {"url": media}
    values = [about[name] for name in _ADDRESSES if name in about]
    address = next((value for value in values if isinstance(value, str) and value), "")
    if address and len(address) < _LONGEST_FIELD and not address.startswith("data:"):
        return address, True
    data = address or next((about[name] for name in ("data", "base64") if name in about), "")
    if not isinstance(data, str) or not data:
        return "", False
    return "sha256:" + hashlib.sha256(data.encode("utf-8", "surrogatepass")).hexdigest()[:32], False


def _named(value: Any) -> str:
    return {dict: "an object", list: "a list", str: "text", bool: "true or false"}.get(type(value), "such a value")


def _short(value: Any) -> bool:
    if isinstance(value, str):
        return 0 < len(value) <= _LONGEST_FIELD
    return isinstance(value, bool | int) or (isinstance(value, float) and math.isfinite(value))
