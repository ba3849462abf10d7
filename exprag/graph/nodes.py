"""The nodes of the loop: plain callables from state to update, each usable in another graph.

They raise ExpragError where something breaks; `build_agent` turns that into the end of the episode.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from langchain_core.language_models import BaseChatModel
from langgraph.runtime import Runtime
from langgraph.types import Overwrite
from pydantic import TypeAdapter, ValidationError

from exprag.agents import Memory, Prompt
from exprag.environment import TextEnvironment
from exprag.errors import ConfigError, ExpragError, ModelError
from exprag.formatter import Formatter
from exprag.graph.state import Context, State
from exprag.memory import MemoryOptions, approximate_tokens, build_block
from exprag.retrieval import Moment, Previous, Retriever
from exprag.sessions import Sessions
from exprag.trajectory import EpisodeError, Provenance, Recall, Step, Task, Trajectory, Usage, now

EMPTY_TURNS = 3  # so many turns without an action end the episode: the model is not answering

Update = dict[str, Any]


_STEPS = TypeAdapter(tuple[Step, ...])


def _steps(state: State) -> tuple[Step, ...]:
    """The steps so far as records; all in one validation, since every turn needs them."""
    try:
        return _STEPS.validate_python(state.get("steps", ()))
    except ValidationError:
        return tuple(Step.from_dict(step) for step in state["steps"])  # raises RecordError naming the field


@dataclass
class Begin:
    """A new episode: resolve the task, forget whatever the thread held before. Raises EnvError for an unknown task."""

    environment: TextEnvironment

    def __call__(self, state: State) -> Update:
        if "task" not in state:
            raise ConfigError("The input has no task.", cure='Invoke with {"task": "<task id>"} or a Task as JSON.')
        return {
            "task": self.environment.task(state["task"]).to_dict(),
            "episode": uuid.uuid4().hex,
            "steps": Overwrite([]),
            **dict.fromkeys(("observation", "memory", "action", "ended", "error", "trajectory")),
            "score": 0.0,
            "success": False,
        }


@dataclass
class Observe:
    """Play the pending action, or reset where there is none; record the step; apply the step limit."""

    sessions: Sessions
    max_steps: int | None = None

    def __call__(self, state: State, runtime: Runtime[Context]) -> Update:
        task = Task.from_dict(state["task"])
        pending = state.get("action")
        if pending is None:
            start = self.sessions.reset(state["episode"], task, state.get("seed"))
            resolved = start.task or task
            return {"task": resolved.to_dict(), "observation": start.observation, "score": start.score}
        steps = state["steps"]
        outcome = self.sessions.step(
            state["episode"],
            task,
            pending["action"],
            actions=[step["action"] for step in steps],
            observations=[*(step["observation"] for step in steps), state["observation"]],
            seed=state.get("seed"),
        )
        memory = state.get("memory") or {}
        step = Step.from_dict(
            {
                **pending,
                "observation": state["observation"],
                "reward": outcome.reward,
                "valid": outcome.valid,
                "recalled": memory.get("recalled", ()),
            }
        )
        limit = (runtime.context and runtime.context.max_steps) or self.max_steps or self.sessions.describe.max_steps(task)
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
    """Refresh the memory block when the retriever says that it is due."""

    retriever: Retriever
    formatter: Formatter
    options: MemoryOptions = field(default_factory=MemoryOptions)
    count_tokens: Callable[[str], int] = approximate_tokens

    def due(self, state: State) -> bool:
        """Whether this step asks the bank anew; a graph may route round the node where it does not."""
        return self.retriever.due(len(state.get("steps", ())), state.get("memory") is not None)

    def __call__(self, state: State) -> Update:
        if not self.due(state):
            return {}
        moment = Moment(Task.from_dict(state["task"]), _steps(state), state["observation"])
        memory = recall(self.retriever, self.formatter, moment, state.get("memory"), self.options, self.count_tokens)
        return {} if memory is None else {"memory": memory}


def recall(
    retriever: Retriever,
    formatter: Formatter,
    moment: Moment,
    previous: dict[str, Any] | None = None,
    options: MemoryOptions = MemoryOptions(),  # noqa: B008 - frozen
    count_tokens: Callable[[str], int] = approximate_tokens,
    *,
    trajectory_ids: Iterable[str] = (),
) -> dict[str, Any] | None:
    """The state's `memory` for a moment, or None where the `previous` one is to stay: the one way from a bank to a prompt, for
    graphs and training rows. `trajectory_ids` are never recalled (the episode being trained on)."""
    before = None
    if previous is not None:
        recalled = tuple(Recall.from_dict(item) for item in previous.get("recalled", ()))
        before = Previous(recalled, previous.get("subgoal", ""))
    found = retriever.retrieve(moment, trajectory_ids=trajectory_ids, previous=before)
    if found is None:
        return None
    block = build_block(found.candidates, formatter, options, count_tokens)
    # a block that comes back as it was stays where it stands: what a server has cached of the prompt remains good
    same = previous is not None and previous.get("text") == block.text
    return {
        "text": block.text,
        "at": previous["at"] if previous is not None and same else len(moment.steps),
        "recalled": [item.to_dict() for item in block.shown],
        "abbreviated": [item.to_dict() for item in block.abbreviated],
        "dropped": [item.to_dict() for item in block.dropped],
        "query": found.query,
        "subgoal": found.subgoal,
        "bank_version": found.bank_version,
    }


@dataclass
class Act:
    """Ask the model for the next action. Raises ModelError where it cannot be asked or gives nothing usable."""

    model: BaseChatModel
    prompt: Prompt

    def __call__(self, state: State) -> Update:
        steps = _steps(state)
        found = state.get("memory") or {}
        memory = Memory(found.get("text", ""), found.get("at", 0), tuple(state.get("hints") or ()))
        messages = self.prompt.messages(Task.from_dict(state["task"]), steps, state["observation"], memory)
        try:
            reply = self.model.invoke(messages)
        except ExpragError:
            raise
        except Exception as error:
            raise ModelError(f"The model failed: {type(error).__name__}: {error}") from error
        response = str(reply.text)
        turn = self.prompt.style.parse(response, self.prompt.templates)
        if not turn.action and [step.action for step in steps[1 - EMPTY_TURNS :]] == [""] * (EMPTY_TURNS - 1):
            raise ModelError(
                f"The model gave no action in {EMPTY_TURNS} turns running; its last turn was {response[:80]!r}.",
                cure="Check its chat template and token limit.",
            )
        usage = getattr(reply, "usage_metadata", None)
        spent = Usage(prompt=usage["input_tokens"], completion=usage["output_tokens"]).to_dict() if usage else None
        whole = response if response.strip() != turn.action else None
        return {
            "action": {
                "action": turn.action,
                "thought": turn.thought,
                "note": turn.note,
                "response": whole,
                "usage": spent,
            }
        }


@dataclass
class Finish:
    """The episode is over: write its Trajectory into the state and free its environment."""

    sessions: Sessions
    model_name: str = ""

    def __call__(self, state: State, runtime: Runtime[Context]) -> Update:
        self.sessions.release(state["episode"])
        memory = state.get("memory") or {}
        trajectory = Trajectory(
            task=Task.from_dict(state["task"]),
            steps=_steps(state),
            final_observation=state.get("observation") or "",
            success=state.get("success", False),
            score=state.get("score", 0.0),
            ended=state.get("ended") or "error",  # type: ignore[arg-type]  # validated by the record
            source="agent",
            fingerprint=self.sessions.describe.fingerprint(),
            provenance=Provenance(
                run=runtime.context.run if runtime.context else "",
                model=self.model_name,
                created=now(),
                seed=state.get("seed"),
                bank_version=memory.get("bank_version"),
            ),
            error=EpisodeError.from_dict(state["error"]) if state.get("error") else None,
        )
        return {"trajectory": trajectory.to_dict()}
