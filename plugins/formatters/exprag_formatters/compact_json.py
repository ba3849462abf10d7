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
        episode = {"task": trajectory.task.instruction, "steps": steps, "final": trajectory.final_observation}
        return write(episode, compact=True)

    def parse(self, text: str) -> Transcript | None:
        episode = read(text)
        if not isinstance(episode, dict) or set(episode) != {"task", "steps", "final"} or not isinstance(episode["steps"], list):
            return None
        if not all(isinstance(step, list) and len(step) == 2 and strings(step) for step in episode["steps"]):
            return None
        if not strings((episode["task"], episode["final"])):
            return None
        turns = tuple((observation, action) for observation, action in episode["steps"])
        return Transcript(episode["task"], turns, episode["final"])
