"""The `react` style: a thought, then the action (ReAct, Yao et al., arXiv 2210.03629)."""

from __future__ import annotations

from pydantic import BaseModel, Field

from exprag_styles.labelled import Labelled


class Answer(BaseModel):
    """A thought and the next action."""

    thought: str = Field(description="What the observation means for the task, and what to do next: one or two sentences.")
    action: str = Field(description="The next action, in one of the forms given.")


class ReAct(Labelled):
    name = "react"
    instruction = (
        "You act in a text environment, one action a turn, until the task is done. Each user message is what you observe. "
        "Think before you act. Answer with exactly two lines:\n"
        "Thought: what the observation means for the task, and what to do next\n"
        "Action: the next action, and nothing after it"
    )
    schema = Answer
