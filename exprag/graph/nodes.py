"""The nodes of the loop: plain callables from state to update, each usable in another graph.

They raise ExpragError where something breaks; `build_agent` turns that into the end of the episode.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from langchain_core.language_models import BaseChatModel
from langgraph.runtime import Runtime
from langgraph.types import Overwrite
from pydantic import TypeAdapter, ValidationError

from exprag.agents import AgentStyle, build_messages
from exprag.environment import TextEnvironment
from exprag.errors import ConfigError, ExpragError, ModelError
from exprag.formatter import Formatter
from exprag.graph.state import Context, State
from exprag.memory import approximate_tokens, build_block
from exprag.retrieval import Moment, Retriever
from exprag.sessions import Sessions
from exprag.trajectory import EpisodeError, Provenance, Step, Task, Trajectory, Usage, now

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
    budget: int | None = None
    count_tokens: Callable[[str], int] = approximate_tokens

    def due(self, state: State) -> bool:
        """Whether this step asks the bank anew; a graph may route round the node where it does not."""
        return self.retriever.due(len(state.get("steps", ())), state.get("memory") is not None)

    def __call__(self, state: State) -> Update:
        if not self.due(state):
            return {}
        moment = Moment(Task.from_dict(state["task"]), _steps(state), state["observation"])
        found = self.retriever.retrieve(moment)
        if found is None:
            return {}
        block = build_block(found.candidates, self.formatter, budget=self.budget, count_tokens=self.count_tokens)
        return {
            "memory": {
                "text": block.text,
                "recalled": [recall.to_dict() for recall in block.shown],
                "dropped": [recall.to_dict() for recall in block.dropped],
                "query": found.query,
                "bank_version": found.bank_version,
            }
        }


@dataclass
class Act:
    """Ask the model for the next action. Raises ModelError where it cannot be asked or gives nothing usable."""

    model: BaseChatModel
    style: AgentStyle
    templates: tuple[str, ...] = ()

    def __call__(self, state: State) -> Update:
        steps = _steps(state)
        memory = state.get("memory") or {}
        messages = build_messages(
            self.style, Task.from_dict(state["task"]), self.templates, steps, state["observation"], memory.get("text", "")
        )
        try:
            reply = self.model.invoke(messages)
        except ExpragError:
            raise
        except Exception as error:
            raise ModelError(f"The model failed: {type(error).__name__}: {error}") from error
        response = str(reply.text)
        turn = self.style.parse(response, self.templates)
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
