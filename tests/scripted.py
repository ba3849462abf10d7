"""A chat model that says what a test wants a model to say: for turns that no well-behaved model would give."""

from __future__ import annotations

from typing import Any

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatResult


class Scripted(BaseChatModel):
    """Answers with `turns` in order, the last one for ever; an exception among them is raised. Keeps the prompts."""

    turns: list[Any]
    prompts: list[list[BaseMessage]] = []

    @property
    def _llm_type(self) -> str:
        return "scripted"

    def _generate(self, messages: list[BaseMessage], stop: Any = None, run_manager: Any = None, **kwargs: Any) -> ChatResult:
        turn = self.turns[min(len(self.prompts), len(self.turns) - 1)]
        self.prompts.append(list(messages))
        if isinstance(turn, Exception):
            raise turn
        usage = {"input_tokens": 10, "output_tokens": 2, "total_tokens": 12}
        return ChatResult(generations=[ChatGeneration(message=AIMessage(turn, usage_metadata=usage))])
