"""Abbreviated: another format with its observations cut short, for small context windows.

    [{"role": "system", "content": INSTRUCTION},
     {"role": "user", "content": "You arrive at shelf 1. On the …"}, {"role": "assistant", "content": ACTION}, …]

Every observation longer than `length` characters ends at a whole word with " …"; task and actions stay. What was cut is gone: the
format reads back what it wrote, not the episode.
"""

from __future__ import annotations

from exprag.contracts.formatter import Formatter, Transcript
from exprag.errors import ConfigError, PluginError
from exprag.plugins import create
from exprag.prompt.block import abbreviate
from exprag.trajectory import Trajectory


class Abbreviated(Formatter):
    """`length`: characters that an observation keeps; `formatter`: the format that it is written in."""

    def __init__(self, length: int = 120, formatter: str = "chat_json") -> None:
        if isinstance(length, bool) or not isinstance(length, int) or length < 1:
            raise ConfigError(f"`length` is a number of characters, 1 or more; not {length!r}.")
        within = create("formatter", formatter)
        if not isinstance(within, Formatter):
            raise PluginError(f"The formatter {formatter!r} is a {type(within).__name__}, not a Formatter.")
        self.length = length
        self.within = within

    def format(self, trajectory: Trajectory) -> str:
        return self.within.format(abbreviate(trajectory, self.length))

    def parse(self, text: str) -> Transcript | None:
        return self.within.parse(text)
