"""A graph whose model does not say how many tokens its calls take."""

from __future__ import annotations

from typing import Any

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatResult

from exprag.environments.sessions import Sessions
from exprag.graph import build_agent
from toy import Toy


class Silent(BaseChatModel):
    """Says the same each time, and nothing of tokens."""

    @property
    def _llm_type(self) -> str:
        return "silent"

    def _generate(self, messages: list[BaseMessage], stop: Any = None, run_manager: Any = None, **kwargs: Any) -> ChatResult:
        return ChatResult(generations=[ChatGeneration(message=AIMessage("look"))])


graph = build_agent(Sessions(Toy), Silent(), max_steps=3)
