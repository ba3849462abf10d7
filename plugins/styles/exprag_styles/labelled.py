"""Turns of labelled lines, the action last: how they are written, read, and repaired where the model strays.

    Thought: the mug is probably on the desk
    Action: go to desk 1

A turn that has this form is read as it stands. Everything else is repaired by one of these rules, and noted: what models and
servers leave round an answer comes off (`wrappers`); labels in another case, numbered, in markdown or all on one line; JSON with
the labels as keys; several actions (the first counts: what follows was imagined); text after the action; no label at all (the
first line that fits an action template is the action, what stands before it the thought).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from exprag.contracts.style import AgentStyle, Turn
from exprag.contracts.templates import match
from exprag.trajectory import Step
from exprag_styles.text import bare, lines_of, one_line, read_json, unfence
from exprag_styles.wrappers import clean

ACTION = "Action"
THOUGHT = "Thought"


class Labelled(AgentStyle):
    """A style whose turn is a line for each of `labels`; `Thought` and `Action` are among them."""

    labels: tuple[str, ...] = (THOUGHT, ACTION)

    def __init__(self, structured: bool = False) -> None:
        self.structured = structured

    def write(self, step: Step) -> str:
        """The model's own turn where it was recorded in this form, else what the step knows."""
        return self.recorded(step) or self.compose({THOUGHT: step.thought or "", ACTION: step.action})

    def recorded(self, step: Step) -> str | None:
        """The step's own response, if it is a turn in this style that needs no repair."""
        fields = self._clean(step.response or "")
        whole = fields is not None and len(fields) == len(self.labels) and fields[ACTION] == step.action
        return (step.response or "").strip() if whole else None

    def compose(self, fields: Mapping[str, str]) -> str:
        """One line for each field that has a value; the action always has its line."""
        values = [(label, one_line(fields.get(label, ""))) for label in self.labels]
        return "\n".join(f"{label}: {value}" for label, value in values if value or label == ACTION)

    def write_answer(self, answer: Mapping[str, Any]) -> str:
        return self.compose({label: _text(answer.get(_key(label))) for label in self.labels})

    def parse(self, response: str, templates: Sequence[str]) -> Turn:
        cleaned = clean(response, templates)
        text, notes, thought = cleaned.text, list(cleaned.notes), cleaned.thought
        fields = self._clean(text)
        if fields and fields[ACTION]:
            fields = fields if fields.get(THOUGHT) or not thought else {**fields, THOUGHT: thought}
            missing = ", ".join(f'"{label}:"' for label in self.labels if label not in fields)
            return self._turn(fields, [*notes, f"no line {missing}"] if missing else notes, templates)
        if not text.strip():
            note = "the model's turn has no action" if thought else "the model's turn was empty"
            return Turn("", thought or None, "; ".join([*notes, note]))
        answer = read_json(text)
        if answer and (fields := self._from_json(answer)):
            fields[THOUGHT] = fields[THOUGHT] or thought
            return self._turn(fields, [*notes, "JSON instead of labelled lines"], templates)
        plain = unfence(text)
        notes += ["code fence"] if plain != text else []
        pairs = self._loose(plain, at_line_start=True)
        if ACTION not in [label for label, _ in pairs]:
            pairs = self._loose(plain, at_line_start=False)
        if ACTION in [label for label, _ in pairs]:
            return self._repaired(pairs, notes, thought, templates)
        return self._unlabelled(plain, dict(pairs), notes, thought, templates)

    def _clean(self, response: str) -> dict[str, str] | None:
        """The fields of a turn in exactly this form, else None. A value may go on over lines, the action's may not."""
        fields: dict[str, str] = {}
        label = ""
        for line in response.strip().splitlines():
            name, colon, value = line.partition(":")
            if colon and name in self.labels:
                if name in fields or label == ACTION:
                    return None
                label, fields[name] = name, value.strip()
            elif not label or label == ACTION or _LABEL.match(line):
                return None
            else:
                fields[label] = f"{fields[label]}\n{line.strip()}".strip()
        return fields if ACTION in fields else None

    def _turn(self, fields: Mapping[str, str], notes: list[str], templates: Sequence[str]) -> Turn:
        action, thought = fields[ACTION], fields.get(THOUGHT) or None
        if (cleaned := bare(action)) != action and not match(action, templates) and match(cleaned, templates):
            action, notes = cleaned, [*notes, "marks round the action"]
        if not action:
            notes = [*notes, "the model's turn has no action"]
        return Turn(action, thought, "; ".join(notes) or None)

    def _from_json(self, answer: Mapping[str, Any]) -> dict[str, str] | None:
        by_key = {_key(str(key)): value for key, value in answer.items()}
        fields = {label: one_line(_text(by_key.get(_key(label)))) for label in self.labels}
        return fields if fields[ACTION] else None

    def _loose(self, text: str, at_line_start: bool) -> list[tuple[str, str]]:
        """(label, value) as often as one occurs, in whatever case and dress."""
        names = "|".join(re.escape(label).replace(r"\ ", r"[ _]") for label in (*self.labels, "Observation"))
        start = r"^[\s>*_#`\-•]*" if at_line_start else r"(?:^|(?<=[\s*_`]))"
        label = re.compile(rf"{start}({names})(?:\s*\d+)?[*_`]*\s*:[*_`]*", re.IGNORECASE | re.MULTILINE)
        hits = list(label.finditer(text))
        ends = [*(hit.start() for hit in hits), len(text)][1:]
        labels_by_key = {_key(name): name for name in (*self.labels, "Observation")}
        return [(labels_by_key[_key(hit[1])], text[hit.end() : end].strip()) for hit, end in zip(hits, ends, strict=True)]

    def _repaired(self, pairs: list[tuple[str, str]], notes: list[str], reasoning: str, templates: Sequence[str]) -> Turn:
        actions = [value for label, value in pairs if label == ACTION]
        upto = next(place for place, (label, _) in enumerate(pairs) if label == ACTION)
        lines = lines_of(actions[0])
        fields = {label: one_line(value) for label, value in reversed(pairs[: upto + 1])}
        action = lines[0] if lines else ""
        fields[ACTION] = action if action[:1] in ("*", "`") else action.rstrip("*`")  # the end of a label's bold
        fields.setdefault(THOUGHT, reasoning)
        if len(actions) > 1:
            notes = [*notes, f"{len(actions)} actions in one turn: the first was taken"]
        elif len(lines) > 1 or len(pairs) > upto + 1:
            notes = [*notes, "text after the action was left out"]
        return self._turn(fields, notes or ["labels in another form"], templates)

    def _unlabelled(self, text: str, fields: dict[str, str], notes: list[str], reasoning: str, templates: Sequence[str]) -> Turn:
        raw = lines_of(text)
        fitting = [number for number, line in enumerate(raw) if match(bare(line, templates), templates)]
        if not fitting and fields:  # a thought that was never followed by an action: cut off by a token limit, as a rule
            note = "; ".join([*notes, "the model's turn has no action"])
            return Turn("", one_line(fields.get(THOUGHT, "")) or reasoning or None, note)
        place = fitting[0] if fitting else len(raw) - 1
        before = " ".join(raw[:place])
        thought = one_line(fields.get(THOUGHT, "")) if fields else before
        action = bare(raw[place], templates) if raw else ""
        note = f'no line "{ACTION}:"' if action else "the model's turn has no action"
        if len(fitting) > 1:
            note += f", {len(fitting)} actions: the first was taken"
        return Turn(action, thought or reasoning or None, "; ".join([*notes, note]))


_LABEL = re.compile(r"^[\s>*_#`\-•]*(?:thought|action|observation)(?:\s*\d+)?[*_`]*\s*:", re.IGNORECASE)


def _key(label: str) -> str:
    return label.strip().lower().replace(" ", "_")


def _text(value: Any) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(str(item) for item in value)
    return "" if value is None else str(value)
