"""Agentic JSON: a trajectory as a list of what was observed and what was done.

    [{"task": INSTRUCTION},
     {"observation": OBSERVATION, "action": ACTION}, …,
     {"observation": FINAL OBSERVATION}]

The paper names the format without printing it (ExpRAG, section 3); this is one reading of the name.
"""

from __future__ import annotations

from exprag.contracts.formatter import Formatter, Transcript
from exprag.trajectory import Trajectory
from exprag_formatters.json_text import read, strings, write


class AgenticJson(Formatter):
    def format(self, trajectory: Trajectory) -> str:
        steps = [{"observation": step.observation, "action": step.action} for step in trajectory.steps]
        return write([{"task": trajectory.task.instruction}, *steps, {"observation": trajectory.final_observation}])

    def parse(self, text: str) -> Transcript | None:
        items = read(text)
        if not isinstance(items, list) or len(items) < 2 or not all(isinstance(item, dict) for item in items):
            return None
        first, *steps, last = items
        shapes = [set(item) for item in items]
        if shapes != [{"task"}, *[{"observation", "action"}] * len(steps), {"observation"}]:
            return None
        if not all(strings(item.values()) for item in items):
            return None
        return Transcript(first["task"], tuple((s["observation"], s["action"]) for s in steps), last["observation"])
