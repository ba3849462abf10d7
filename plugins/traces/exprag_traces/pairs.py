"""Rows with a list of observations and actions: `{"steps": [["action", "observation"], …], "obs0": "…", "won": true}`, or objects
(`state` or `observation`, `action`, and perhaps `thought` and `reward`).

Which of the two came first: a `state` stands before its action; in a list of two the observation answers the action, and so it
does in an object that names the action first. A first action `reset` brings the first observation and is not a step.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from exprag.contracts.trace_format import Place, TraceFormat
from exprag.errors import RecordError
from exprag.traces.record import goal, make, text_or_none
from exprag.traces.turns import split_turn, thinking
from exprag.trajectory import Trajectory

_STEPS = ("steps", "state_action_pairs", "transitions", "trajectory")
_FIRST = ("obs0", "initial_observation")
_GOALS = ("instruction", "task_description", "goal", "task", "question")
_OBSERVATIONS = ("state", "observation", "obs")


class Pairs(TraceFormat):
    """Rows with a list of observations and actions."""

    def recognise(self, row: Any) -> bool:
        return isinstance(row, dict) and any(isinstance(row.get(name), list) for name in _STEPS)

    def read(self, row: Any, place: Place) -> Trajectory:
        if not self.recognise(row):
            raise RecordError(f"There is no list {' or '.join(map(repr, _STEPS))}.")
        items = next(row[name] for name in _STEPS if isinstance(row.get(name), list))
        first = next((row[name] for name in _FIRST if isinstance(row.get(name), str)), None)
        answers = first is not None
        observation = first or ""
        steps: list[dict[str, Any]] = []
        thoughts: list[str] = []
        for number, item in enumerate(items, 1):
            action, text, details, behind = _parts(item, f"step {number}")
            behind = behind or answers
            if not behind:
                observation = text
            if number == 1 and behind and not observation and action.strip().lower() == "reset":
                observation = text
                continue
            thought = thinking(action)
            if thought is not None:
                thoughts.append(thought)
                if behind and text.strip().rstrip(".").lower() not in ("ok", ""):
                    observation = "\n".join(filter(None, [observation, text]))
                continue
            inner, action, note = split_turn(action)
            words = "\n".join(filter(None, [*thoughts, details.get("thought"), inner])) or None
            steps.append({"observation": observation, "action": action, "thought": words, "note": note, **_reward(details)})
            observation, thoughts = (text if behind else ""), []
        if thoughts:
            steps.append({"observation": observation, "action": "", "thought": "\n".join(thoughts)})
            observation = ""
        task = next((row[name] for name in _GOALS if isinstance(row.get(name), str)), "")
        instruction = task or goal(steps[0]["observation"] if steps else "")
        final = text_or_none(row, "final_observation") or observation
        fields = {name: value for name, value in row.items() if name not in (*_GOALS, *_FIRST)}
        return make("pairs", place, fields, steps, instruction=instruction.strip(), final_observation=final, used=_STEPS)


def _parts(item: Any, where: str) -> tuple[str, str, Mapping[str, Any], bool]:
    """(action, observation, other fields, whether the observation came after the action)."""
    if isinstance(item, list):
        if len(item) != 2 or not all(isinstance(part, str) for part in item):
            raise RecordError(f"{where}: expected two texts, action and observation.")
        return item[0], item[1], {}, True
    if not isinstance(item, dict):
        raise RecordError(f"{where}: expected an object, or a list of two texts.")
    name = next((name for name in _OBSERVATIONS if name in item), "")
    action, text = item.get("action"), item.get(name, "")
    if not isinstance(action, str):
        raise RecordError(f"{where}: it has no action that is text.")
    if not isinstance(text, str):
        raise RecordError(f"{where}: its {name} is not text.")
    thought = next((item[key] for key in ("thought", "reasoning") if isinstance(item.get(key), str)), "")
    names = list(item)
    behind = bool(name) and name != "state" and names.index("action") < names.index(name)
    return action, text, {"thought": thought, "reward": item.get("reward")}, behind


def _reward(details: Mapping[str, Any]) -> dict[str, Any]:
    return {} if details.get("reward") is None else {"reward": details["reward"]}
