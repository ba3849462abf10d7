"""The `recall` chat model: a case-based baseline that knows only what the messages say.

It is not a language model. It reads the memory block, picks the case whose instruction is most like the present one, and
adapts what was done there to what is observed here. Without memory it has only the action templates to go by. It is
deterministic and stateless: the answer is a function of the messages; what it keeps between calls only saves time.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from threading import Lock
from typing import Any

from langchain_core.callbacks import CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel, LanguageModelInput
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.messages.ai import UsageMetadata
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_core.runnables import Runnable
from pydantic import PrivateAttr

from exprag.contracts.style import last_action
from exprag.prompt import PromptView, read_messages
from exprag.prompt.block import approximate_tokens
from exprag_models.case_based.cases import read_case
from exprag_models.case_based.player import Player
from exprag_models.case_based.tool_calls import action_tool, as_episode, call_for

_KEPT = 64  # episodes whose player is kept, so that a step costs one step


class CaseBased(BaseChatModel):
    """Adapts the closest recalled trajectory; a baseline, not a language model. Usage is in approximate tokens."""

    _players: OrderedDict[Any, Player] = PrivateAttr(default_factory=OrderedDict)
    _lock: Any = PrivateAttr(default_factory=Lock)

    @property
    def _llm_type(self) -> str:
        return "exprag-recall"

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        tool = kwargs.get("tool")
        action = self._decide(read_messages(as_episode(messages, tool[1]) if tool else messages))
        told, said = sum(approximate_tokens(m.text) for m in messages), approximate_tokens(action)
        usage = UsageMetadata(input_tokens=told, output_tokens=said, total_tokens=told + said)
        message = call_for(action, tool) if tool else AIMessage(action)
        return ChatResult(generations=[ChatGeneration(message=message.model_copy(update={"usage_metadata": usage}))])

    def bind_tools(self, tools: Sequence[Any], **kwargs: Any) -> Runnable[LanguageModelInput, AIMessage]:
        """Plays through the tool that takes an action; `tool_choice` and the like change nothing."""
        if "ls_structured_output_format" in kwargs:
            raise NotImplementedError("recall writes plain actions")
        return self.bind(tool=action_tool(tools))

    def _decide(self, view: PromptView) -> str:
        frame = (view.templates, view.entries, view.instruction)
        player = self._take((frame, view.turns[:-1], view.turns[-1][0])) if view.turns else None
        if player is not None:
            player.took(last_action(view.turns[-1][1]))
        else:
            player = self._replay(view)
        player.see(view.observation)
        action = " ".join(player.act().split()) or "wait"
        with self._lock:
            self._players[(frame, view.turns, view.observation)] = player
            while len(self._players) > _KEPT:
                self._players.popitem(last=False)
        return action

    def _take(self, key: Any) -> Player | None:
        with self._lock:
            return self._players.pop(key, None)

    @staticmethod
    def _replay(view: PromptView) -> Player:
        cases = [read_case(entry.outcome, entry.body, view.templates) for entry in view.entries]
        player = Player(view.instruction, view.templates, [case for case in cases if case is not None])
        for observation, said in view.turns:
            player.see(observation)
            player.act()
            player.took(last_action(said))
        return player
