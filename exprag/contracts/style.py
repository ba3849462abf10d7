"""The agent style contract: how the model is asked for an action and how its turn is read."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from exprag.errors import PluginError
from exprag.plugins import create
from exprag.trajectory import Step, Task

if TYPE_CHECKING:
    from pydantic import BaseModel


@dataclass(frozen=True)
class Turn:
    """A model's turn, read."""

    action: str
    """What is to be done; "" where the turn holds no action, with a note saying so."""
    thought: str | None = None
    """What the model thought before it, where the style asks for that."""
    note: str | None = None
    """What had to be repaired, or why there is no action; None: nothing."""


class AgentStyle(ABC):
    """How a model is instructed, how its past turns are written, and how a new one is parsed.

    schema       what a turn consists of, for models that offer structured output; None: text only
    structured   whether to ask for it: the user's choice, `style_options={"structured": True}`
    """

    name: str = ""
    instruction: str = ""
    schema: type[BaseModel] | None = None
    structured: bool = False

    @abstractmethod
    def write(self, step: Step) -> str:
        """The assistant turn of a past step, as the model itself would have written it."""

    @abstractmethod
    def parse(self, response: str, templates: Sequence[str]) -> Turn:
        """Read the model's turn. Must not raise: what cannot be read is a Turn with a note."""

    def write_episode(self, task: Task, steps: Sequence[Step]) -> list[str]:
        """The assistant turns of an episode's steps, in order: override where a turn tells more than its own step knows."""
        return [self.write(step) for step in steps]

    def write_answer(self, answer: Mapping[str, Any]) -> str:
        """A structured answer (the fields of `schema`) as the text of a turn, which `parse` then reads."""
        raise NotImplementedError(f"The style {self.name!r} has no structured form.")


def last_action(turn: str) -> str:
    """The action of an assistant turn that some style wrote: what its last line `Action: …` says, else the whole turn."""
    _, label, action = f"\n{turn}".rpartition("\nAction:")
    return action.strip() if label else turn


def load_style(name: str, **options: Any) -> AgentStyle:
    """The style plugin of a name. Raises PluginError for an unknown one."""
    style = create("style", name, **options)
    if not isinstance(style, AgentStyle):
        raise PluginError(f"The style {name!r} is a {type(style).__name__}, not an AgentStyle.")
    return style
