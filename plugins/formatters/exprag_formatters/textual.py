"""Textual: a trajectory as plain lines.

    Task: INSTRUCTION
    Observation: OBSERVATION
    Action: ACTION
    …
    Observation: FINAL OBSERVATION

A text of several lines goes on indented by two spaces (an empty line stays empty), so that no line of it can pass for a label:
an observation that reads "Action: …" in its second line stays an observation. A backslash is written twice, and a lone
surrogate, which UTF-8 cannot carry, as \\udXXX. Nothing else is changed, and all of it can be undone.
"""

from __future__ import annotations

import re

from exprag.contracts.formatter import Formatter, Transcript
from exprag.trajectory import Trajectory

INDENT = "  "
_LABEL = re.compile(r"(Task|Observation|Action):(?: (.*))?", re.DOTALL)
_SURROGATE = re.compile("[\ud800-\udfff]")
_ESCAPE = re.compile(r"\\(\\|u[dD][89a-fA-F][0-9a-fA-F]{2})")


class Textual(Formatter):
    def format(self, trajectory: Trajectory) -> str:
        lines = [_line("Task", trajectory.task.instruction)]
        for step in trajectory.steps:
            lines += [_line("Observation", step.observation), _line("Action", step.action)]
        return "\n".join([*lines, _line("Observation", trajectory.final_observation)])

    def parse(self, text: str) -> Transcript | None:
        labels, contents = list[str](), list[str]()
        for line in text.split("\n"):
            match = _LABEL.fullmatch(line)
            if match:
                labels.append(match[1])
                contents.append(match[2] or "")
            elif contents and (line.startswith(INDENT) or not line):
                contents[-1] += "\n" + line.removeprefix(INDENT)
            else:
                return None
        turns = (len(labels) - 2) // 2
        if labels != ["Task", *["Observation", "Action"] * max(turns, 0), "Observation"]:
            return None
        texts = [_unescaped(content) for content in contents]
        return Transcript(texts[0], tuple(zip(texts[1:-1:2], texts[2:-1:2], strict=True)), texts[-1])


def _line(label: str, text: str) -> str:
    first, *more = _escaped(text).split("\n")
    return "\n".join([f"{label}: {first}", *(INDENT + line if line else "" for line in more)])


def _escaped(text: str) -> str:
    return _SURROGATE.sub(lambda match: f"\\u{ord(match[0]):04x}", text.replace("\\", "\\\\"))


def _unescaped(text: str) -> str:
    return _ESCAPE.sub(lambda match: "\\" if match[1] == "\\" else chr(int(match[1][1:], 16)), text)
