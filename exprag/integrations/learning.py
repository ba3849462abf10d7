"""Middleware that recalls and learns: a finished conversation of LangChain's `create_agent` enters the bank.

    agent = create_agent(model, tools, middleware=[LearningMiddleware("bank", outcome=tests_pass, k=2)])

Put it last in the list. What is recorded is kept in the agent's state as it happens, so that middleware that summarises, trims or
edits messages takes nothing away from it. See docs/agents.md.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any, Literal, NotRequired, cast

from langchain_core.messages import AIMessage, AnyMessage, RemoveMessage, ToolMessage
from langgraph.config import get_config
from langgraph.errors import GraphBubbleUp
from langgraph.graph.message import REMOVE_ALL_MESSAGES, add_messages

from exprag.bank.gate import Rule, refusal
from exprag.errors import ConfigError, ExpragError, RunError, boundary
from exprag.integrations.conversation import RECALLED, from_person, trajectory_from_messages, without_memory
from exprag.integrations.middleware import ExperienceMiddleware, ExperienceState, OmitFromSchema, since
from exprag.integrations.outcomes import Finished, Outcome, Verdict, verdict_of
from exprag.retrieval import Retriever
from exprag.trajectory import Task, Trajectory

try:
    from langchain.agents.middleware.types import TracePolicy, omit_payload
except ImportError:  # an older LangChain, whose hooks leave no spans
    TracePolicy = omit_payload = None  # type: ignore[assignment, misc]

if TYPE_CHECKING:
    from langgraph.runtime import Runtime

Update = dict[str, Any]
_KEPT_RESULTS = 1024
log = logging.getLogger("exprag.learning")


class LearningState(ExperienceState):
    """Adds `transcript`, the episode's messages as they came, and `recorded`: id, success, score, added, quarantined, refused."""

    transcript: NotRequired[Annotated[list[AnyMessage], OmitFromSchema(input=True, output=True), add_messages]]
    recorded: NotRequired[Annotated[dict[str, Any] | None, OmitFromSchema(input=True, output=False)]]


class LearningMiddleware(ExperienceMiddleware):
    """Recalls experience as `ExperienceMiddleware` does, and adds each finished episode to the bank.

    outcome   how it went (see `exprag.integrations.outcomes`): a function of Finished, `by_rubric(model, rubric)`, `ask_person`.
              Without one, or where it cannot tell, the outcome is unknown, and the episode enters in quarantine
    learn     "success": failures do not enter; "all": they do
    rule      a function of the Trajectory that must agree as well
    trust     False: every episode enters in quarantine, until `Bank.trust`; None: those whose outcome is known are trusted
    keep_memory   whether memory blocks that a tool showed stay in what is recorded; by default they are replaced by a note
    trace_memory  False: LangChain's spans of this middleware carry no payload, and so no memory block

    An episode never sees experience of the same task, nor of its own thread. Recording never breaks the agent: what goes wrong is
    logged, and stands in the state under `recorded`.
    """

    state_schema = LearningState

    def __init__(
        self,
        source: Any,
        *,
        outcome: Outcome | None = None,
        learn: Literal["success", "all"] = "success",
        rule: Rule | None = None,
        trust: bool | None = None,
        keep_memory: bool = False,
        trace_memory: bool = True,
        run: str = "",
        **options: Any,
    ) -> None:
        if learn not in ("success", "all"):
            raise ConfigError(f"learn is 'success' or 'all'; not {learn!r}.")
        if not isinstance(source, Retriever):
            options.setdefault("exclude_by", ("thread",))
        super().__init__(source, **options)
        self.outcome, self.learn, self.rule, self.trust, self.run = outcome, learn, rule, trust, run
        self.keep_memory = keep_memory
        if not trace_memory and TracePolicy is not None:
            self.trace_policy = TracePolicy(process_inputs=omit_payload, process_outputs=omit_payload)
        self._results: OrderedDict[tuple[str | None, str], ToolMessage] = OrderedDict()

    def before_model(self, state: LearningState, runtime: Runtime[Any]) -> Update | None:  # type: ignore[override]
        """Ask the bank where it is due, and note the tools' results that have come."""
        news = list(self._news(state))
        return {**(super().before_model(state, runtime) or {}), **({"transcript": news} if news else {})} or None

    def after_model(self, state: LearningState, runtime: Runtime[Any]) -> Update | None:  # type: ignore[override]
        """Note the turn of the model, with what it had recalled."""
        message = state["messages"][-1] if state["messages"] else None
        if not isinstance(message, AIMessage):
            return None
        experience = state.get("experience") or {}
        return {"transcript": [_with_recalled(message, experience.get("recalled") or [])]}

    def wrap_tool_call(self, request: Any, handler: Callable[[Any], Any]) -> Any:
        result = handler(request)
        self._keep(request, result)
        return result

    async def awrap_tool_call(self, request: Any, handler: Callable[[Any], Awaitable[Any]]) -> Any:
        result = await handler(request)
        self._keep(request, result)
        return result

    def after_agent(self, state: LearningState, runtime: Runtime[Any]) -> Update | None:  # type: ignore[override]
        """Add the finished episode to the bank."""
        finished = self._finished(state)
        if finished is None:
            return None
        with _judging():
            answer = self.outcome(finished) if self.outcome else None
            if inspect.iscoroutine(answer):
                answer.close()
            if inspect.isawaitable(answer):
                raise ConfigError("The outcome is a coroutine function.", cure="Call the agent with ainvoke.")
        return self._add(state, finished, verdict_of(answer))

    async def aafter_agent(self, state: LearningState, runtime: Runtime[Any]) -> Update | None:  # type: ignore[override]
        finished = await asyncio.to_thread(self._finished, state)
        if finished is None:
            return None
        with _judging():
            judge = self.outcome
            answer = await judge(finished) if inspect.iscoroutinefunction(judge) else None
            if judge is not None and not inspect.iscoroutinefunction(judge):
                answer = await asyncio.to_thread(judge, finished)
        return await asyncio.to_thread(self._add, state, finished, verdict_of(answer))

    def _begin(self, state: LearningState) -> Update | None:  # type: ignore[override]
        update = super()._begin(state)
        messages = state["messages"]
        if update is None:
            answered = max((place for place, message in enumerate(messages) if isinstance(message, AIMessage)), default=-1)
            spoken = [message for message in messages[answered + 1 :] if from_person(message)]
            return {"transcript": spoken} if spoken and state.get("experience") else None
        experience = update["experience"]
        if thread := _thread():
            task = experience["task"]
            experience = {**experience, "task": {**task, "metadata": {**task["metadata"], "thread": thread}}}
        opening = [RemoveMessage(id=REMOVE_ALL_MESSAGES), *since(messages, experience["message"])]
        return {"experience": experience, "transcript": opening, "recorded": None}

    def _news(self, state: LearningState) -> Iterator[AnyMessage]:
        """What came after the model's last turn and is not in the transcript; and that turn, where somebody has edited it."""
        transcript, messages = state.get("transcript") or [], state["messages"]
        turn = next((message for message in reversed(transcript) if isinstance(message, AIMessage)), None)
        if turn is None:
            return
        present = next((message for message in messages if message.id == turn.id), None)
        if isinstance(present, AIMessage) and present.tool_calls != turn.tool_calls:
            turn = _with_recalled(present, turn.response_metadata.get(RECALLED) or [])
            yield turn
        places = {message.id for message in transcript}
        for call in turn.tool_calls:
            results = [message for message in messages if isinstance(message, ToolMessage) and message.id not in places]
            answers = [message for message in results if message.tool_call_id == call["id"]]
            result = self._results.pop((turn.id, str(call["id"])), None)
            if answers or (result is not None and result.id not in places):
                yield answers[-1] if answers else result  # type: ignore[misc]

    def _keep(self, request: Any, result: Any) -> None:
        """Hold a tool's result until the next hook: other middleware may take it out of the messages before that."""
        messages = request.state.get("messages", ()) if isinstance(request.state, Mapping) else ()
        id = str(request.tool_call.get("id"))
        turns = (message for message in reversed(messages) if isinstance(message, AIMessage))
        turn = next((turn for turn in turns if any(call["id"] == id for call in turn.tool_calls)), None)
        if turn is None or not isinstance(result, ToolMessage):
            return
        self._results[turn.id, id] = result
        while len(self._results) > _KEPT_RESULTS:
            self._results.popitem(last=False)

    def _finished(self, state: LearningState) -> Finished | None:
        """The conversation, where the model has taken a turn in it."""
        experience = state.get("experience") or {}
        transcript = [*(state.get("transcript") or ()), *self._news(state)]
        unique = list({message.id: message for message in transcript}.values())
        messages = unique if self.keep_memory else [without_memory(message) for message in unique]
        if "task" not in experience or not any(isinstance(message, AIMessage) for message in messages):
            return None
        trajectory = trajectory_from_messages(messages, Task.from_dict(experience["task"]), experience=experience, run=self.run)
        return Finished(trajectory, cast(list[AnyMessage], messages), state)

    def _add(self, state: LearningState, finished: Finished, verdict: Verdict) -> Update:
        episode = finished.trajectory.model_copy(update={"success": verdict.success, "score": verdict.score, "id": ""})
        episode = Trajectory.from_dict(episode.to_dict())
        about: Update = {"id": episode.id, "success": verdict.success, "score": verdict.score}
        try:
            refused = refusal(episode, self.learn, self.rule, unknown=True)
            about |= {"added": 0, "quarantined": 0, "refused": refused}
            if not refused:
                bank = self.retriever.bank
                previous = state.get("recorded") or {}
                report = bank.add([episode], trust=self.trust)
                if previous.get("added") and previous.get("id") != episode.id:  # the same conversation went on
                    bank.delete([previous["id"]])
                about |= {"added": report.added, "quarantined": report.quarantined}
        except ExpragError as error:
            log.warning("the conversation was not recorded: %s", error)
            about |= {"refused": f"error: {error}"}
        return {"recorded": about}


@contextmanager
def _judging() -> Iterator[None]:
    """A judge that fails ends the agent's call with an error of ours; an interrupt, which asks a person, passes."""
    cure = "Give a function that answers True, False, None or a score."
    with boundary(RunError, "The outcome of the conversation could not be had", cure=cure, catch=(_JudgeFault,)):
        try:
            yield
        except (GraphBubbleUp, ExpragError):
            raise
        except Exception as error:
            raise _JudgeFault(f"{type(error).__name__}: {error}") from error


class _JudgeFault(Exception):
    """Whatever a judge raised."""


def _with_recalled(message: AIMessage, recalled: list[Any]) -> AIMessage:
    return message.model_copy(update={"response_metadata": {**message.response_metadata, RECALLED: recalled}})


def _thread() -> str:
    """The id of the thread that runs; "" outside one."""
    try:
        configurable = get_config().get("configurable") or {}
    except RuntimeError:
        return ""
    return str(configurable.get("thread_id") or "")

