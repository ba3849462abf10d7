"""The `act` style: the assistant turn is the bare action (ExpRAG, section 4)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel, Field

from exprag.contracts.style import AgentStyle, Turn
from exprag.contracts.templates import match
from exprag.trajectory import Step
from exprag_styles.text import bare, lines_of, one_line, read_json, split_reasoning, unfence


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
        """The first line that fits an action template, else the first line; quotes, bullets, fences and "Action:" removed."""
        reasoning, text = split_reasoning(response)
        answer = read_json(text) if text.strip().startswith(("{", "```")) else None
        if answer and isinstance(answer.get("action"), str):
            return Turn(one_line(answer["action"]), reasoning or None, "JSON instead of a bare action")
        lines = [line for raw in lines_of(unfence(text)) if (line := bare(raw))]
        thought = reasoning or None
        if not lines:
            return Turn("", thought, "the model's turn was empty" if not thought else "the model's turn has no action")
        fitting = [line for line in lines if match(line, templates)]
        action = (fitting or lines)[0]
        if len(fitting) > 1:
            return Turn(action, thought, f"{len(fitting)} actions in one turn: the first was taken")
        if len(lines) > 1 or thought:
            return Turn(action, thought, "text around the action was left out")
        return Turn(action)
