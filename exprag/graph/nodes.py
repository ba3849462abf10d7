"""The nodes of the loop: plain callables from state to update, each usable in another graph.

They raise ExpragError where something breaks; `build_agent` turns that into the end of the episode
(`exprag.graph.compose.guarded`). `runtime` is LangGraph's own argument; outside a graph it may be left out.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from typing import Any

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import BaseMessage, SystemMessage
from langgraph.runtime import Runtime
from langgraph.types import Overwrite

from exprag.contracts.environment import TextEnvironment
from exprag.contracts.formatter import Formatter
from exprag.contracts.query_strategy import Moment
from exprag.environments.calls import find_task
from exprag.environments.sessions import Sessions
from exprag.errors import ConfigError, EnvError, ModelError, PluginError, boundary
from exprag.events import emit
from exprag.faults import advise, name_component
from exprag.graph.asking import ask
from exprag.graph.spans import opened, spanned
from exprag.graph.state import Context, State, need
from exprag.graph.steps import new_query, steps_of
from exprag.memory import MemoryState
from exprag.metering import timed
from exprag.prompt import Prompt
from exprag.prompt.block import MemoryOptions, approximate_tokens
from exprag.prompt.hint_block import hint_record
from exprag.prompt.recall import recall
from exprag.retrieval import Retriever
from exprag.trajectory import EpisodeError, Provenance, Step, Task, Trajectory, now

EMPTY_TURNS = 3  # this many turns without an action end the episode: the model is not answering

Update = dict[str, Any]


_FIELDS = tuple(each.name for each in fields(Context))


def _context(runtime: Runtime[Context] | None) -> Context:
    """What this invocation set; a graph of somebody else's may have a context without our fields."""
    context = runtime.context if runtime is not None else None
    return Context(**{name: getattr(context, name) for name in _FIELDS if hasattr(context, name)})


@dataclass
class Begin:
    """A new episode: resolve the task, forget whatever the thread held before. Raises EnvError for an unknown task."""

    environment: TextEnvironment

    def __call__(self, state: State) -> Update:
        if "task" not in state:
            raise ConfigError("The input has no task.", cure='Invoke with {"task": "<task id>"} or a Task as JSON.')
        update = {
            "task": find_task(self.environment, state["task"]).to_dict(),
            "episode": uuid.uuid4().hex,
            "steps": Overwrite([]),
            **dict.fromkeys(("observation", "memory", "action", "ended", "error", "trajectory")),
            "score": 0.0,
            "success": False,
        }
        return opened(update)


@dataclass
class Observe:
    """Play the pending action, or reset where there is none; record the step; apply the step limit."""

    sessions: Sessions
    max_steps: int | None = None

    @spanned
    def __call__(self, state: State, runtime: Runtime[Context] | None = None) -> Update:
        need(state, "task", "episode")
        task = Task.from_dict(state["task"])
        pending = state.get("action")
        if pending is None:
            with timed("environment"):
                start = self.sessions.reset(state["episode"], task, state.get("seed"))
            resolved = start.task or task
            return {"task": resolved.to_dict(), "observation": start.observation, "score": start.score}
        need(state, "steps", "observation")
        if isinstance(pending, str):  # as a person may write it
            pending = {"action": pending}
        steps = state["steps"]
        with timed("environment"):
            outcome = self.sessions.step(
                state["episode"],
                task,
                pending["action"],
                actions=[step["action"] for step in steps],
                observations=[*(step["observation"] for step in steps), state["observation"]],
                seed=state.get("seed"),
            )
        memory = MemoryState.of(state.get("memory")) or MemoryState()
        step = Step.from_dict(
            {
                **pending,
                "observation": state["observation"],
                "reward": outcome.reward,
                "valid": outcome.valid,
                "recalled": memory.recalled,
                "query": new_query(memory, steps),
            }
        )
        limit = _context(runtime).max_steps or self.max_steps or self.sessions.max_steps(task)
        over = outcome.truncated or len(steps) + 1 >= limit
        return {
            "steps": [step.to_dict()],
            "observation": outcome.observation,
            "action": None,
            "score": outcome.score,
            "success": outcome.success,
            "ended": "terminated" if outcome.terminated else "truncated" if over else None,
        }


@dataclass
class Retrieve:
    """Refresh the memory block when the retriever says that it is due.

    `retriever` may be a function that makes one: it is called at first use, in the node's own thread.
    """

    retriever: Retriever | Callable[[], Retriever]
    formatter: Formatter
    options: MemoryOptions = field(default_factory=MemoryOptions)
    count_tokens: Callable[[str], int] = approximate_tokens

    def due(self, state: State) -> bool:
        """Whether this step asks the bank again; a graph may route round the node where it does not."""
        if not isinstance(self.retriever, Retriever):
            return True  # not made yet: the node makes it
        return self.retriever.due(len(state.get("steps", ())), state.get("memory") is not None)

    @spanned
    def __call__(self, state: State, runtime: Runtime[Context] | None = None) -> Update:
        if not isinstance(self.retriever, Retriever):
            self.retriever = self.retriever()
        if not self.due(state):
            return {}
        need(state, "task", "observation")
        context, retriever = _context(runtime), self.retriever
        k = retriever.k if context.k is None else context.k
        if k != retriever.k or not context.memory:
            k = k if context.memory else 0
            counts = {name: getattr(retriever, name) if context.memory else 0 for name in ("document_k", "hint_k")}
            retriever = retriever.changed(k=k, carry_over=min(retriever.carry_over, k), **counts)
        moment = Moment(Task.from_dict(state["task"]), steps_of(state), state["observation"])
        previous = MemoryState.of(state.get("memory"))
        with timed("retrieval"):
            memory = recall(retriever, self.formatter, moment, previous, self.options, self.count_tokens)
        return {} if memory is None else {"memory": memory.to_dict()}


@dataclass
class Act:
    """Ask the model for the next action. Raises ModelError where it cannot be asked or gives nothing usable."""

    model: BaseChatModel
    prompt: Prompt

    def messages(self, state: State) -> list[BaseMessage]:
        """The prompt of this moment. Raises PluginError naming the style where that breaks."""
        need(state, "task", "observation")
        task, steps = Task.from_dict(state["task"]), steps_of(state)
        memory, hints = MemoryState.of(state.get("memory")), state.get("hints") or ()
        style = self.prompt.style
        cure = f"Its `write` must give text for any step. {advise('style', style)}"
        with boundary(PluginError, f"The {name_component('style', style)} could not write the prompt", cure=cure):
            return self.prompt.messages(task, steps, state["observation"], memory, hints)

    @spanned
    def __call__(self, state: State, runtime: Runtime[Context] | None = None) -> Update:
        messages, steps = self.messages(state), steps_of(state)
        if instruction := _context(runtime).instruction:
            messages[0] = SystemMessage(f"{messages[0].text}\n\n{instruction}")
        reply = ask(self.model, self.prompt.style, messages, self.prompt.templates)
        turn = reply.turn
        if not turn.action and [step.action for step in steps[1 - EMPTY_TURNS :]] == [""] * (EMPTY_TURNS - 1):
            raise ModelError(
                f"The model gave no action in {EMPTY_TURNS} turns running; its last turn was {reply.text[:80]!r}.",
                cure="Check its chat template and token limit.",
            )
        response = reply.text if reply.text.strip() != turn.action else None
        action = {"action": turn.action, "thought": turn.thought, "note": turn.note}
        emit("acted", len(steps), **action, usage=reply.usage)
        return {"action": {**action, "response": response, "usage": reply.usage}}


@dataclass
class Finish:
    """The episode is over: write its Trajectory into the state and free its environment."""

    sessions: Sessions
    model_name: str = ""

    @spanned
    def __call__(self, state: State, runtime: Runtime[Context] | None = None) -> Update:
        need(state, "task", "episode")
        context = _context(runtime)
        self.sessions.release(state["episode"])
        memory = MemoryState.of(state.get("memory"))
        ended = state.get("ended") or "error"
        error = EpisodeError.from_dict(state["error"]) if state.get("error") else None
        fingerprint = ""
        try:
            fingerprint = self.sessions.fingerprint()
        except EnvError as fault:  # the last call of the environment in an episode may break as any other
            ended, error = "error", error or EpisodeError(boundary=fault.boundary, message=str(fault))
        trajectory = Trajectory(
            task=Task.from_dict(state["task"]),
            steps=steps_of(state),
            final_observation=state.get("observation") or "",
            success=state.get("success", False),
            score=state.get("score", 0.0),
            ended=ended,
            source="agent",
            fingerprint=fingerprint,
            provenance=Provenance(
                run=context.run,
                model=self.model_name,
                created=now(),
                seed=state.get("seed"),
                bank_version=memory.bank_version if memory else None,
                extra=hint_record(memory) | ({"instruction": context.instruction} if context.instruction else {}),
            ),
            error=error,
        )
        return {"trajectory": trajectory.to_dict()}
