"""Experience for an agent of LangChain's `create_agent`: three lines give it a bank.

    from exprag.integrations.middleware import ExperienceMiddleware

    agent = create_agent(model, tools, middleware=[ExperienceMiddleware("bank", k=2)])

The memory block is appended to the system prompt of each model call, and its record stands in the agent's state under
`experience`, so a checkpointed thread keeps it. Nothing is written to the bank: see `exprag.integrations.conversation`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, NotRequired

from langchain_core.messages import AIMessage, AnyMessage, BaseMessage, SystemMessage

from exprag.contracts.formatter import Formatter
from exprag.errors import ConfigError, PluginError
from exprag.integrations.conversation import ENVIRONMENT, from_person, moment_of, task_of
from exprag.integrations.recall import as_retriever
from exprag.memory import MemoryState
from exprag.plugins import create
from exprag.prompt.block import MemoryOptions, approximate_tokens
from exprag.prompt.recall import recall
from exprag.retrieval import Retriever
from exprag.trajectory import Task

try:
    from langchain.agents.middleware import AgentMiddleware, AgentState, ModelRequest, ModelResponse
    from langchain.agents.middleware.types import OmitFromSchema
except ImportError as error:
    raise PluginError(f"The middleware needs LangChain 1.x ({error}).", cure="pip install 'exprag[langchain]'") from error

if TYPE_CHECKING:
    from langgraph.runtime import Runtime

    from exprag.bank import Bank

Update = dict[str, Any]


class ExperienceState(AgentState[Any]):
    """The agent's state with `experience`: the Task in force, the id of the `message` in which a person gave it, and, once the
    bank was asked, the fields of the MemoryState in force."""

    experience: NotRequired[Annotated[dict[str, Any] | None, OmitFromSchema(input=True, output=False)]]


class ExperienceMiddleware(AgentMiddleware[ExperienceState, Any, Any]):
    """Recalls experience before the model is called.

    source       a bank, its path, or a Retriever for full control; `options` are those of `Retriever` (k, strategy, refresh …).
                 Or a function that gives one of these: it is called when the first episode asks (agents for a server)
    per          "turn": each message of a person opens an episode of its own, and the bank is asked again;
                 "conversation": the whole thread is one episode, and its first message the task
    task         what the episode is about, from its messages, the person's first; default: the person's message
    environment  whose experience is meant; default: the bank's only one

    Who speaks decides the task, not the order of a list that other middleware may rewrite: a person speaks at the start of an
    invocation, and the task stays until a person speaks again, whatever is summarised or trimmed meanwhile.

    Within an episode the retriever's `refresh` says when the bank is asked again: "once", or at each call of the model. By
    default an episode never sees experience of the very same task, which is the same words: an assistant in use, whose
    people ask twice, wants `exclude=False`.
    """

    state_schema = ExperienceState

    def __init__(
        self,
        source: Bank | Retriever | str | Path | Callable[[], Bank | Retriever | str | Path],
        *,
        per: Literal["turn", "conversation"] = "turn",
        task: Callable[[Sequence[BaseMessage]], Task] | None = None,
        environment: str | None = None,
        formatter: str | Formatter = "chat_json",
        memory: MemoryOptions = MemoryOptions(),  # noqa: B008 - frozen
        count_tokens: Callable[[str], int] = approximate_tokens,
        **options: Any,
    ) -> None:
        super().__init__()
        if per not in ("turn", "conversation"):
            raise ConfigError(f"per is 'turn' or 'conversation'; not {per!r}.")
        self._source, self._options, self._environment = source, options, environment
        self.per = per
        if not callable(source):
            _ = self.retriever, self.environment  # a bank that is there is checked now
        self.task = task or (lambda messages: task_of(messages, self.environment))
        self.formatter = create("formatter", formatter) if isinstance(formatter, str) else formatter
        self.memory, self.count_tokens = memory, count_tokens

    @cached_property
    def retriever(self) -> Retriever:
        return as_retriever(self._source() if callable(self._source) else self._source, **self._options)

    @cached_property
    def environment(self) -> str:
        return self._environment or self._only_environment()

    def before_agent(self, state: ExperienceState, runtime: Runtime[Any]) -> Update | None:
        """A person speaks: begin an episode."""
        return self._begin(state)

    async def abefore_agent(self, state: ExperienceState, runtime: Runtime[Any]) -> Update | None:
        return await asyncio.to_thread(self._begin, state)

    def before_model(self, state: ExperienceState, runtime: Runtime[Any]) -> Update | None:
        """Ask the bank, where it is due."""
        experience = state.get("experience") or (self._begin(state) or {}).get("experience")
        if experience is None:  # nobody has spoken yet
            return None
        episode = since(state["messages"], experience["message"])
        turns = sum(isinstance(message, AIMessage) for message in episode)
        previous = memory_in(experience)
        if not self.retriever.due(turns, previous is not None):
            return None
        task = Task.from_dict(experience["task"])
        moment = moment_of(episode, task)
        memory = recall(self.retriever, self.formatter, moment, previous, self.memory, self.count_tokens)
        return None if memory is None else {"experience": {**experience, **memory.to_dict()}}

    async def abefore_model(self, state: ExperienceState, runtime: Runtime[Any]) -> Update | None:
        return await asyncio.to_thread(self.before_model, state, runtime)

    def wrap_model_call(self, request: ModelRequest[Any], handler: Callable[[ModelRequest[Any]], ModelResponse[Any]]) -> Any:
        """Call the model with the memory block at the end of its system prompt."""
        return handler(self._with_memory(request))

    async def awrap_model_call(
        self, request: ModelRequest[Any], handler: Callable[[ModelRequest[Any]], Awaitable[ModelResponse[Any]]]
    ) -> Any:
        return await handler(self._with_memory(request))

    def _with_memory(self, request: ModelRequest[Any]) -> ModelRequest[Any]:
        memory = memory_in(request.state.get("experience"))
        if memory is None or not memory.blocks:
            return request
        system, text = request.system_message or SystemMessage(""), memory.text
        content: Any
        if isinstance(system.content, str):
            content = f"{system.content}\n\n{text}" if system.content else text
        else:  # a list of content blocks, which may carry a provider's cache marks
            content = [*system.content, {"type": "text", "text": f"\n\n{text}"}]
        return request.override(system_message=system.model_copy(update={"content": content}))

    def _begin(self, state: ExperienceState) -> Update | None:
        """The episode that a person's latest message begins, if it begins one."""
        messages = state["messages"]
        people = [place for place, message in enumerate(messages) if from_person(message)]
        answered = max((place for place, message in enumerate(messages) if isinstance(message, AIMessage)), default=-1)
        experience = state.get("experience")
        if not people or (experience is not None and (self.per == "conversation" or people[-1] < answered)):
            return None
        first = people[0] if self.per == "conversation" else people[-1]
        task = self.task(messages[first:])
        return {"experience": {"task": task.to_dict(), "message": messages[first].id}}

    def _only_environment(self) -> str:
        if self.retriever.where.environment:
            return self.retriever.where.environment
        environments = list(self.retriever.bank.info().environments)
        if len(environments) > 1:
            raise ConfigError(f"The bank holds several environments: {', '.join(environments)}.", cure="Say which: environment=…")
        return environments[0] if environments else ENVIRONMENT


def memory_in(experience: Any) -> MemoryState | None:
    """The memory in force of an agent's state; None where the bank was not asked yet in this episode."""
    fields = {name: value for name, value in (experience or {}).items() if name not in ("task", "message")}
    return MemoryState.of(fields or None)


def since(messages: Sequence[AnyMessage], id: str | None) -> Sequence[AnyMessage]:
    """The messages from the one with this id on; all, where another middleware has taken it out."""
    place = next((place for place, message in enumerate(messages) if id is not None and message.id == id), 0)
    return messages[place:]
