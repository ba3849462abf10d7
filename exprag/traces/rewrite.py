"""Actions of another version of an environment, in the wording of this one: rules of the form `PATTERN=>REPLACEMENT`."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

from exprag.errors import ConfigError
from exprag.traces.calls import calls_of
from exprag.trajectory import Step, ToolCall, Trajectory

ARROW = "=>"


def rewriter(rules: Sequence[str]) -> Callable[[Trajectory], Trajectory]:
    r"""What rewrites the actions of a trajectory: `rewriter([r"put (.+) in/on (.+)=>move \1 to \2"])`.

    An action is rewritten by the first rule whose regular expression fits the whole of it; its step's tool calls follow, and the
    model's turn as it was goes. The rules, and how many actions they changed, stand in `provenance.extra["rewritten"]`; a
    trajectory of which nothing fits stays as it is. Raises ConfigError for a rule that cannot be read."""
    parsed = [_parsed(rule) for rule in rules]

    def rewrite(trajectory: Trajectory) -> Trajectory:
        steps, changed = [], 0
        for step in trajectory.steps:
            rewritten = (match.expand(by) for pattern, by in parsed if (match := pattern.fullmatch(step.action)))
            action = next(rewritten, step.action)
            if action != step.action:
                changed += 1
                step = step.model_copy(update={"action": action, "calls": _calls(step, action), "response": None})
            steps.append(step)
        if not changed:
            return trajectory
        origin = trajectory.provenance
        extra: dict[str, Any] = {**origin.extra, "rewritten": {"rules": list(rules), "actions": changed}}
        fields = {"id": "", "steps": [step.to_dict() for step in steps], "provenance": {**origin.to_dict(), "extra": extra}}
        return Trajectory.from_dict({**trajectory.to_dict(), **fields})

    return rewrite


def _calls(step: Step, action: str) -> tuple[ToolCall, ...]:
    """The tool calls of a step whose action was rewritten: those that it is written as now, with the ids and results of the old;
    none where it is not as many."""
    calls = calls_of(step.model_copy(update={"action": action, "calls": ()}))
    if len(calls) != len(step.calls):
        return ()
    return tuple(new.model_copy(update={"id": old.id, "result": old.result}) for new, old in zip(calls, step.calls, strict=True))


def _parsed(rule: str) -> tuple[re.Pattern[str], str]:
    left, arrow, right = rule.partition(ARROW)
    if not arrow or not left:
        example = rf"put (.+) in/on (.+){ARROW}move \1 to \2"
        raise ConfigError(f"{rule!r} is not a rule.", cure=f"Write PATTERN{ARROW}REPLACEMENT, such as {example}")
    try:
        pattern = re.compile(left)
        re.compile(f"{left}|").sub(right, "")  # an empty match: it reads the replacement, and fails for a group that is not there
    except (re.error, IndexError) as error:
        raise ConfigError(f"The rule {rule!r} cannot be read: {error}.", cure="Check its groups and brackets.") from error
    return pattern, right
