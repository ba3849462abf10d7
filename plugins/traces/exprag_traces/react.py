"""ReAct transcripts (Yao et al., 2023): one text with `Thought:`, `Action:` and `Observation:`, or a text game's record with
`> think: …` and `> go to …`, each followed by what it led to."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import zip_longest
from typing import Any

from exprag.contracts.trace_format import Place, TraceFormat
from exprag.errors import RecordError
from exprag.traces.record import goal, goals, make
from exprag.traces.turns import thinking
from exprag.trajectory import Trajectory

_FIELDS = ("transcript", "trajectory", "trace", "text", "prompt")
_PROMPT = re.compile(r"^> ?(?=\S)", re.MULTILINE)
_LABEL = re.compile(
    r"^[ \t]*(?P<label>thought|action|act|observation|obs)(?:[ \t]*\d+)?[ \t]*:[ \t]*", re.IGNORECASE | re.MULTILINE
)
_ACTION = re.compile(r"^[ \t]*(?:action|act)(?:[ \t]*\d+)?[ \t]*:", re.IGNORECASE | re.MULTILINE)


class React(TraceFormat):
    """Rows that are, or hold, one transcript."""

    def recognise(self, row: Any) -> bool:
        text = _text(row)
        return text is not None and bool(_PROMPT.search(text) or _ACTION.search(text))

    def read(self, row: Any, place: Place) -> Trajectory:
        text = _text(row)
        if text is None:
            raise RecordError("Expected the text of a transcript.")
        text = text.replace("\r\n", "\n")
        by_prompt = _PROMPT.search(text)
        parts = list(_prompted(text) if by_prompt else _labelled(text))
        lead = parts[0][1] if parts and parts[0][0] == "observation" else ""
        if len(goals(text if by_prompt else lead)) > 1:
            raise RecordError(f"It holds {len(goals(text))} tasks; a row holds one.")
        steps: list[dict[str, Any]] = []
        thoughts: list[str] = []
        observations: list[str] = []
        for kind, part in parts:
            if kind == "observation":
                observations.append(part)
            elif kind == "thought":
                thoughts.append(part)
            else:
                steps.append(_step(observations, thoughts, part))
                observations, thoughts = [], []
        if thoughts:
            steps.append(_step(observations, thoughts, ""))
            observations = []
        fields = row if isinstance(row, dict) else {}
        instruction, rest = goal(lead) or lead.strip(), "\n".join(filter(None, observations))
        return make("react", place, fields, steps, instruction=instruction, final_observation=rest, used=_FIELDS)


def _step(observations: list[str], thoughts: list[str], action: str) -> dict[str, Any]:
    return {
        "observation": "\n".join(filter(None, observations)),
        "action": action,
        "thought": "\n".join(filter(None, thoughts)) or None,
    }


def _prompted(text: str) -> Iterator[tuple[str, str]]:
    """Turns behind "> ", each one line, and what follows them; the "OK." that answers a thought is not an observation."""
    lead, *turns = _PROMPT.split(text)
    yield "observation", lead.strip()
    for turn in turns:
        line, _, answer = turn.partition("\n")
        thought = thinking(line)
        yield ("action", line.strip()) if thought is None else ("thought", thought)
        if thought is None or answer.strip().rstrip(".").lower() != "ok":
            yield "observation", answer.strip()


def _labelled(text: str) -> Iterator[tuple[str, str]]:
    """What each label introduces, in order; the text before the first is what was observed at the beginning."""
    labels = list(_LABEL.finditer(text))
    lead = text[: labels[0].start()] if labels else text
    yield "observation", lead.strip()
    for label, following in zip_longest(labels, labels[1:]):
        part = text[label.end() : following.start() if following else len(text)].strip()
        kind = {"thought": "thought", "action": "action", "act": "action"}.get(label["label"].lower(), "observation")
        if kind == "action" and goals(part):
            raise RecordError("An action is followed by another task; a row holds one.")
        yield kind, part


def _text(row: Any) -> str | None:
    if isinstance(row, str):
        return row
    if not isinstance(row, dict):
        return None
    return next((row[name] for name in _FIELDS if isinstance(row.get(name), str)), None)
