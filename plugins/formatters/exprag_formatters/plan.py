"""Plan: the task and the actions that mattered, a line each, without observations: a tenth of the tokens of the other formats.

    put a clean mug in shelf
    1. take mug 1 from desk 2
    2. go to sinkbasin 1
    …

Left out are actions that the environment did not understand, and all but the last of actions in a row that begin with the same
word: who went to three places one after the other found nothing in the first two. The format cannot be read back.
"""

from __future__ import annotations

from exprag.contracts.formatter import Formatter
from exprag.text import utf8
from exprag.trajectory import Trajectory


class Plan(Formatter):
    def format(self, trajectory: Trajectory) -> str:
        actions = [" ".join(step.action.split()) for step in trajectory.steps if step.valid is not False]
        following = [*actions[1:], ""][: len(actions)]
        plan = [action for action, after in zip(actions, following, strict=True) if _verb(action) != _verb(after)]
        lines = [f"{number}. {action}" for number, action in enumerate(plan, 1)]
        return utf8("\n".join([" ".join(trajectory.task.instruction.split()), *lines]))


def _verb(action: str) -> str:
    return action.partition(" ")[0].lower()
