"""The `case-based` chat model: a baseline that knows only what the messages say.

It is not a language model. It reads the memory block, picks the case whose instruction is most like the present one, and
adapts what was done there to what is observed here. Hints are read where they are of the forms in `rules`. Without memory and
hints it has only the action templates to go by. It is
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
from pydantic import ConfigDict, PrivateAttr

from exprag.contracts.style import AgentStyle, last_action
from exprag.errors import ConfigError, PluginError, boundary
from exprag.faults import advise, name_component
from exprag.prompt import PromptView, read_messages
from exprag.prompt.block import approximate_tokens
from exprag.trajectory import Step
from exprag_models.case_based.cases import read_case
from exprag_models.case_based.player import Player
from exprag_models.case_based.tool_calls import action_tool, as_episode, call_for

_KEPT = 64  # episodes whose player is kept, so that a step costs one step


class CaseBased(BaseChatModel):
    """Adapts the closest recalled trajectory; a baseline, not a language model. Usage is in approximate tokens.

    `style` is how turns are written and read back; without one an answer is the bare action, and of earlier turns a last line
    `Action: …` or the whole is read.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True)

    style: AgentStyle | None = None

    _players: OrderedDict[Any, Player] = PrivateAttr(default_factory=OrderedDict)
    _lock: Any = PrivateAttr(default_factory=Lock)

    @property
    def _llm_type(self) -> str:
        return "exprag-case-based"

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        tool = kwargs.get("tool")
        view = read_messages(as_episode(messages, tool[1]) if tool else messages)
        action = self._decide(view)
        text = action if tool else self._write(action, view.observation)
        for mark in stop or ():
            text = text.partition(mark)[0]
        prompt, completion = sum(approximate_tokens(m.text) for m in messages), approximate_tokens(text)
        usage = UsageMetadata(input_tokens=prompt, output_tokens=completion, total_tokens=prompt + completion)
        message = call_for(action, tool) if tool else AIMessage(text, response_metadata={"finish_reason": "stop"})
        return ChatResult(generations=[ChatGeneration(message=message.model_copy(update={"usage_metadata": usage}))])

    def with_style(self, style: AgentStyle) -> CaseBased:
        """The same model for an agent of this style. Raises ConfigError for one that does not read back what it writes."""
        bound = CaseBased(style=style)
        if (action := bound._read(bound._write("look", "a room"), ("look",))) != "look":
            raise ConfigError(
                f"The case-based model cannot play in the style {style.name!r}: of its own turn for 'look' it reads {action!r}.",
                cure=f"Check the style: exprag validate style {style.name}.",
            )
        return bound

    def bind_tools(self, tools: Sequence[Any], **kwargs: Any) -> Runnable[LanguageModelInput, AIMessage]:
        """Plays through the tool that takes an action; `tool_choice` and the like change nothing."""
        if "ls_structured_output_format" in kwargs:
            raise NotImplementedError("case-based writes plain actions")
        return self.bind(tool=action_tool(tools))

    def _decide(self, view: PromptView) -> str:
        frame = (view.templates, view.entries, view.instruction, view.hints)
        player = self._take((frame, view.turns[:-1], view.turns[-1][0])) if view.turns else None
        if player is not None:
            player.took(self._read(view.turns[-1][1], view.templates))
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

    def _write(self, action: str, observation: str) -> str:
        """The turn for an action, as the style writes it."""
        if self.style is None:
            return action
        what = f"The {name_component('style', self.style)} could not write a turn"
        with boundary(PluginError, what, cure=advise("style", self.style)):
            return self.style.write(Step(observation=observation, action=action))

    def _read(self, turn: str, templates: tuple[str, ...]) -> str:
        """The action of an earlier turn."""
        if self.style is None:
            return last_action(turn)
        what = f"The {name_component('style', self.style)} could not read a turn"
        with boundary(PluginError, what, cure=advise("style", self.style)):
            return self.style.parse(turn, templates).action

    def _replay(self, view: PromptView) -> Player:
        cases = [read_case(entry.outcome, entry.body, view.templates) for entry in view.entries]
        player = Player(view.instruction, view.templates, [case for case in cases if case is not None], view.hints)
        for observation, turn in view.turns:
            player.see(observation)
            player.act()
            player.took(self._read(turn, view.templates))
        return player
