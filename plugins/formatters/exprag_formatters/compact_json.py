"""Compact JSON: a trajectory as one dense object, without a space between its parts.

    {"task":INSTRUCTION,"steps":[[OBSERVATION,ACTION],…],"final":FINAL OBSERVATION}

The paper names the format without printing it (ExpRAG, section 3); this is one reading of the name. Success is not in it: labels
belong to the memory block.
"""

from __future__ import annotations

from exprag.contracts.formatter import Formatter, Transcript
from exprag.trajectory import Trajectory
from exprag_formatters.json_text import read, strings, write


class CompactJson(Formatter):
    def format(self, trajectory: Trajectory) -> str:
        steps = [[step.observation, step.action] for step in trajectory.steps]
        told = {"task": trajectory.task.instruction, "steps": steps, "final": trajectory.final_observation}
        return write(told, compact=True)

    def parse(self, text: str) -> Transcript | None:
        told = read(text)
        if not isinstance(told, dict) or set(told) != {"task", "steps", "final"} or not isinstance(told["steps"], list):
            return None
        if not all(isinstance(step, list) and len(step) == 2 and strings(step) for step in told["steps"]):
            return None
        if not strings((told["task"], told["final"])):
            return None
        return Transcript(told["task"], tuple((seen, done) for seen, done in told["steps"]), told["final"])
