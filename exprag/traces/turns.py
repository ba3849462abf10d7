"""A model's turn as thought and action: reasoning tags, and the labels of ReAct (Yao et al., 2023, section 3) in any spelling."""

from __future__ import annotations

import re
from itertools import zip_longest

_LABEL = re.compile(
    r"^[ \t]*\**(?P<label>thoughts?|think|reasoning|action input|actions?|act|final answer|observation)(?:[ \t]*\d+)?"
    r"[ \t]*:[ \t]*\**[ \t]*",
    re.IGNORECASE | re.MULTILINE,
)
_THOUGHT = ("thought", "thoughts", "think", "reasoning")
_CLOSE = re.compile(r"</(?:think|thinking|thought|reasoning)>", re.IGNORECASE)
_OPEN = re.compile(r"<(?:think|thinking|thought|reasoning)>", re.IGNORECASE)
_THINKING_ACTION = re.compile(r"think\s*(?::\s*(?P<colon>.*)|\[(?P<bracket>.*?)\]?\s*)\Z", re.IGNORECASE | re.DOTALL)


def split_turn(text: str) -> tuple[str | None, str, str | None]:
    """(thought, action, note) of one turn. Without a label the whole turn is the action; with a thought and no action label the
    action is "". What follows "Observation:" was imagined by the model: it is left out, and the note says so."""
    reasoning = ""
    closings = list(_CLOSE.finditer(text))
    if closings:
        reasoning = _OPEN.sub("", _CLOSE.sub("", text[: closings[-1].end()])).strip()
        text = text[closings[-1].end() :]
    labels = list(_LABEL.finditer(text))
    if not labels:
        return reasoning or None, text.strip(), None
    thoughts = [reasoning, text[: labels[0].start()].strip()]
    actions: list[str] = []
    note = None
    for label, following in zip_longest(labels, labels[1:]):
        part = text[label.end() : following.start() if following else len(text)].strip()
        kind = label["label"].lower()
        if kind == "observation":
            note = "the turn went on with an observation of its own, which was left out"
            break
        if kind in _THOUGHT:
            thoughts.append(part)
        elif kind == "action input" and actions:
            actions[-1] = f"{actions[-1]}({part})"
        elif part:
            actions.append(part)
    return "\n".join(filter(None, thoughts)) or None, "\n".join(actions), note


def thinking(action: str) -> str | None:
    """The thought, where the action is one: `think: …` or `think[…]`; else None."""
    match = _THINKING_ACTION.match(action.strip())
    return (match["colon"] if match["colon"] is not None else match["bracket"]).strip() if match else None
