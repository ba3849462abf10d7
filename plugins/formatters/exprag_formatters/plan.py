"""Plan: the task and the actions that mattered, a line each: a fraction of the tokens of the other formats.

    put a clean mug in shelf              put a clean mug in shelf
    1. take mug 1 from desk 2             You arrive at desk 2. On the desk 2, you … mug 1 … > take mug 1 …
    2. go to sinkbasin 1                  You pick up the mug 1 from the desk 2. > go to sinkbasin 1
    …                                     …

On the left as it is by default, on the right with `observations=40`: before each action what it answered to, cut short but for
the numbered things that the action is about, so that a model finds its place in the plan by what it sees.

Left out are
* actions that the environment did not understand;
* all but the last of actions in a row that begin with the same word;
* where things have numbers: an action on one thing ("open cabinet 3") after which the plan goes on without it, and without what
  its answer showed.
Who went to three places found nothing in the first two. The format cannot be read back.
"""

from __future__ import annotations

import re

from exprag.contracts.formatter import Formatter
from exprag.errors import ConfigError
from exprag.prompt.block import abbreviate
from exprag.text import utf8
from exprag.trajectory import Step, Trajectory

_NUMBERED = re.compile(r"[^\W\d_]+ \d+\b")


class Plan(Formatter):
    """`observations`: characters that the observation before an action keeps; 0: none is written."""

    def __init__(self, observations: int = 0) -> None:
        if isinstance(observations, bool) or not isinstance(observations, int) or observations < 0:
            raise ConfigError(f"`observations` is a number of characters, 0 or more; not {observations!r}.")
        self.observations = observations

    def format(self, trajectory: Trajectory) -> str:
        needed = needed_steps(trajectory)
        actions = [_line(trajectory.steps[step].action) for step in needed]
        if self.observations:
            short = abbreviate(trajectory, self.observations)
            sights = [_sight(trajectory.steps[step], short.steps[step].observation) for step in needed]
            lines = [f"{sight} > {action}" for sight, action in zip(sights, actions, strict=True)]
        else:
            lines = [f"{number}. {action}" for number, action in enumerate(actions, 1)]
        return utf8("\n".join([_line(trajectory.task.instruction), *lines]))


def needed_steps(trajectory: Trajectory) -> list[int]:
    """The steps that the plan holds, counted from 0."""
    steps = trajectory.steps
    answers = [*(step.observation for step in steps[1:]), trajectory.final_observation]
    understood = [number for number, step in enumerate(steps) if step.valid is not False]
    needed: list[int] = []
    verb, next_names = "", set[str]()  # of the action after this one, and what the plan goes on with
    for number in reversed(understood):
        action = _line(steps[number].action)
        verb_after, verb = verb, action.partition(" ")[0].lower()
        names = _names(action)
        if verb != verb_after and (len(names) != 1 or not next_names or next_names & (names | _names(answers[number]))):
            needed.append(number)
            next_names = names
    return needed[::-1]


def _sight(step: Step, short: str) -> str:
    """The observation cut short, with the things in it that the action is about."""
    cut = sorted(_names(step.action) & _names(step.observation) - _names(short))
    return _line(" ".join([short, *(f"{name} …" for name in cut)]))


def _names(text: str) -> set[str]:
    return {name.lower() for name in _NUMBERED.findall(text)}


def _line(text: str) -> str:
    return " ".join(text.split())
