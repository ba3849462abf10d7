"""The `stateact` style: the model keeps its goal and the state of the world in view, then thinks and acts.

The turn's fields are those of StateAct as used in hint distillation (Ibrahim et al., arXiv 2510.01375). Steps that were played
without such a turn (an expert's, another style's) are written with the fields that follow from the task and the actions.
"""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import BaseModel, Field

from exprag.trajectory import Step, Task
from exprag_models.situation import Situation, situations
from exprag_styles.labelled import ACTION, THOUGHT, Labelled

GOAL, VISITED, PLACE, INVENTORY = "Goal", "Locations visited", "Current location", "Current inventory"


class Answer(BaseModel):
    """The goal, the state of the world, a thought and the next action."""

    goal: str = Field(description="The task in a few words.")
    locations_visited: str = Field(description="Places visited so far, separated by commas, or none.")
    current_location: str = Field(description="Where you are now, or unknown.")
    current_inventory: str = Field(description="What you carry, separated by commas, or nothing.")
    thought: str = Field(description="What the observation means for the goal, and what to do next.")
    action: str = Field(description="The next action, in one of the forms given.")


class StateAct(Labelled):
    name = "stateact"
    labels = (GOAL, VISITED, PLACE, INVENTORY, THOUGHT, ACTION)
    instruction = (
        "You act in a text environment, one action a turn, until the task is done. Each user message is what you observe. "
        "Before you act, say how things stand. Answer with exactly these lines:\n"
        "Goal: the task in a few words\n"
        "Locations visited: the places visited so far\n"
        "Current location: where you are now\n"
        "Current inventory: what you carry\n"
        "Thought: what the observation means for the goal, and what to do next\n"
        "Action: the next action, and nothing after it"
    )
    schema = Answer

    def write_episode(self, task: Task, steps: Sequence[Step]) -> list[str]:
        # the answers that are known: the last step's own is not asked for
        stood = [Situation(), *situations(steps, "")]
        turns = []
        for number, step in enumerate(steps):
            here = stood[number]
            visited = dict.fromkeys(earlier.place for earlier in stood[: number + 1] if earlier.place)
            fields = {
                GOAL: task.instruction,
                VISITED: ", ".join(visited) or "none",
                PLACE: here.place or "unknown",
                INVENTORY: ", ".join(here.inventory) or "nothing",
                THOUGHT: step.thought or "",
                ACTION: step.action,
            }
            turns.append(self.recorded(step) or self.compose(fields))
        return turns
