"""Chat JSON: a trajectory as the list of messages that a chat model would have seen.

    [{"role": "system", "content": INSTRUCTION},
     {"role": "user", "content": OBSERVATION}, {"role": "assistant", "content": ACTION}, …,
     {"role": "user", "content": FINAL OBSERVATION}]

The paper names the format without printing it (ExpRAG, section 3); this is the plain reading of the name.
"""

from __future__ import annotations

from exprag.contracts.formatter import Formatter, Transcript
from exprag.trajectory import Trajectory
from exprag_formatters.json_text import read, strings, write


class ChatJson(Formatter):
    def format(self, trajectory: Trajectory) -> str:
        messages = [{"role": "system", "content": trajectory.task.instruction}]
        for step in trajectory.steps:
            messages.append({"role": "user", "content": step.observation})
            messages.append({"role": "assistant", "content": step.action})
        messages.append({"role": "user", "content": trajectory.final_observation})
        return write(messages)

    def parse(self, text: str) -> Transcript | None:
        messages = read(text)
        try:
            contents = [message["content"] for message in messages]
            roles = [message["role"] for message in messages]
        except (TypeError, KeyError):
            return None
        if not roles or len(roles) % 2 or roles != ["system", *(["user", "assistant"] * (len(roles) // 2))][: len(roles)]:
            return None
        if not strings(contents):
            return None
        turns = tuple(zip(contents[1:-1:2], contents[2:-1:2], strict=True))
        return Transcript(contents[0], turns, contents[-1])
