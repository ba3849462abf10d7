"""The agent style contract: how the model is asked for an action and how its turn is read."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

from exprag.errors import PluginError
from exprag.plugins import create
from exprag.trajectory import Step


@dataclass(frozen=True)
class Turn:
    """A model's turn, read: the action ("" if there is none), the thought, and what had to be repaired."""

    action: str
    thought: str | None = None
    note: str | None = None


class AgentStyle(ABC):
    """How a model is instructed, how its past turns are written, and how a new one is parsed."""

    name: str = ""
    instruction: str = ""

    @abstractmethod
    def write(self, step: Step) -> str:
        """The assistant turn of a past step, as the model itself would have written it."""

    @abstractmethod
    def parse(self, response: str, templates: Sequence[str]) -> Turn:
        """Read the model's turn. Must not raise: what cannot be read is a Turn with a note."""


def load_style(name: str) -> AgentStyle:
    """The style plugin of a name. Raises PluginError for an unknown one."""
    style = create("style", name)
    if not isinstance(style, AgentStyle):
        raise PluginError(f"The style {name!r} is a {type(style).__name__}, not an AgentStyle.")
    return style
