"""Prompt styles, the prompt, and the parsing of the model's turn."""

from exprag.agents.history import History
from exprag.agents.prompt import PLACEMENTS, Memory, Prompt, PromptView, read_messages
from exprag.agents.style import AgentStyle, Turn, last_action, load_style

__all__ = [
    "PLACEMENTS",
    "AgentStyle",
    "History",
    "Memory",
    "Prompt",
    "PromptView",
    "Turn",
    "last_action",
    "load_style",
    "read_messages",
]
