"""Prompt styles, and the parsing of the model's turn."""

from exprag.agents.act import Act
from exprag.agents.prompt import PromptView, build_messages, read_messages
from exprag.agents.style import AgentStyle, Turn
from exprag.errors import ConfigError, closest

STYLES: dict[str, type[AgentStyle]] = {"act": Act}


def load_style(name: str) -> AgentStyle:
    """The style of a name. Raises ConfigError for an unknown one."""
    if name not in STYLES:
        raise ConfigError(f"There is no agent style {name!r}.", cure=closest(name, list(STYLES)))
    return STYLES[name]()


__all__ = ["STYLES", "AgentStyle", "PromptView", "Turn", "build_messages", "load_style", "read_messages"]
