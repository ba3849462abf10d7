"""The `act` style: the assistant turn is the bare action (ExpRAG, section 4)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel, Field

from exprag.contracts.style import AgentStyle, Turn
from exprag.contracts.templates import match
from exprag.trajectory import Step
from exprag_styles.text import bare, lines_of, one_line, read_json, unfence
from exprag_styles.wrappers import clean


class Answer(BaseModel):
    """The next action."""

    action: str = Field(description="The next action, in one of the forms given.")


class Act(AgentStyle):
    name = "act"
    instruction = (
        "You act in a text environment, one action a turn, until the task is done. Each user message is what you observe. "
        "Answer with the next action only: one line, nothing else."
    )
    schema = Answer

    def __init__(self, structured: bool = False) -> None:
        self.structured = structured

    def write(self, step: Step) -> str:
        return step.action

    def write_answer(self, answer: Mapping[str, Any]) -> str:
        return one_line(str(answer["action"]))

    def parse(self, response: str, templates: Sequence[str]) -> Turn:
        """The line labelled "Action:", else the first that fits an action template, else the first line; wrappers come off."""
        cleaned = clean(response, templates)
        text, notes, thought = cleaned.text, list(cleaned.notes), cleaned.thought or None
        answer = read_json(text) if text.strip().startswith(("{", "[", "```", "<tool_call>")) else None
        if answer and isinstance(answer.get("action"), str):
            return _turn(one_line(answer["action"]), thought, [*notes, "JSON instead of a bare action"])
        plain = unfence(text)
        notes += ["code fence"] if plain != text else []
        rows = [row for row in lines_of(plain) if bare(row)]
        if not rows:
            return Turn("", thought, "the model's turn has no action" if thought else "the model's turn was empty")
        labelled = [row for row in rows if _LABEL.match(row)]
        fits = [row for row in rows if match(bare(row, templates), templates)]
        fitting = [row for row in labelled if row in fits] or fits
        row = (fitting or labelled or rows)[0]
        if len(fitting) > 1:
            notes.append(f"{len(fitting)} actions in one turn: the first was taken")
        elif len(rows) > 1:
            notes.append("text around the action was left out")
        if bare(row, templates) != _TICKS.sub("", _USUAL.sub("", row)).strip():
            notes.append("marks round the action")
        return _turn(bare(row, templates), thought, notes)


# A list's number or bullet, a label and backticks are how models write a line, and need no note.
_USUAL = re.compile(r"^(?:[>\-•\s]+|\d+[.)]\s+|action\s*:\s*)", re.IGNORECASE)
_TICKS = re.compile(r"^`(?!`)|(?<!`)`$")
_LABEL = re.compile(r"^[\s>*_#`\-•]*(?:next\s+)?action(?:\s*\d+)?[*_`]*\s*:", re.IGNORECASE)


def _turn(action: str, thought: str | None, notes: list[str]) -> Turn:
    return Turn(action, thought, "; ".join(notes if action else [*notes, "the model's turn has no action"]) or None)
