"""The `act` style: the assistant turn is the bare action (ExpRAG, section 4)."""

from __future__ import annotations

import re
from collections.abc import Sequence

from exprag.agents import AgentStyle, Turn
from exprag.agents.templates import match
from exprag.trajectory import Step

_PREFIX = re.compile(r"^(?:[>*\-•\s]+|(?:next\s+)?action\s*:\s*|\d+[.)]\s+)+", re.IGNORECASE)
_QUOTES = "`\"'"


class Act(AgentStyle):
    name = "act"
    instruction = (
        "You act in a text environment, one action a turn, until the task is done. Each user message is what you observe. "
        "Answer with the next action only: one line, nothing else."
    )

    def write(self, step: Step) -> str:
        return step.action

    def parse(self, response: str, templates: Sequence[str]) -> Turn:
        """The first line that fits an action template, else the first line; quotes, bullets and "Action:" removed."""
        lines = [line for raw in response.splitlines() if (line := _PREFIX.sub("", raw.strip()).strip(_QUOTES).strip())]
        if not lines:
            return Turn("", note="the model's turn was empty")
        fitting = [line for line in lines if match(line, templates)]
        action = (fitting or lines)[0]
        if len(fitting) > 1:
            return Turn(action, note=f"{len(fitting)} actions in one turn: the first was taken")
        if len(lines) > 1:
            return Turn(action, note="text around the action was left out")
        return Turn(action)
