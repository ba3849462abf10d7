"""The nodes of the loop: plain callables from state to update, each usable in another graph.

They raise ExpragError where something breaks; `build_agent` turns that into the end of the episode
(`exprag.graph.compose.guarded`). `runtime` is LangGraph's own argument; outside a graph it may be left out.
"""

from __future__ import annotations

import copy
import uuid
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any

from langchain_core.language_models import BaseChatModel
from langgraph.runtime import Runtime
from langgraph.types import Overwrite
from pydantic import TypeAdapter, ValidationError

from exprag.agents import Memory, Prompt
from exprag.environment import TextEnvironment
from exprag.errors import ConfigError, ExpragError, ModelError, PluginError, RecordError
from exprag.events import emit, emit_recalled
from exprag.formatter import Formatter
from exprag.graph.asking import ask
from exprag.graph.spans import opened, spanned
from exprag.graph.state import Context, State, need
from exprag.memory import MemoryBlock, MemoryOptions, approximate_tokens, build_block
from exprag.retrieval import Moment, Previous, Retriever
from exprag.sessions import Sessions
from exprag.trajectory import EpisodeError, Provenance, Recall, Step, Task, Trajectory, now

if TYPE_CHECKING:
    from exprag.bank.documents import DocumentHit

EMPTY_TURNS = 3  # so many turns without an action end the episode: the model is not answering

Update = dict[str, Any]


_STEPS = TypeAdapter(tuple[Step, ...])
_FIELDS = tuple(each.name for each in fields(Context))


def _steps(state: State) -> tuple[Step, ...]:
    """The steps so far as records; all in one validation, since every turn needs them."""
    try:
        return _STEPS.validate_python(state.get("steps", ()))
    except ValidationError:
        pass
    try:
        return tuple(Step.from_dict(step) for step in state["steps"])  # slower, but it names the field
    except RecordError as error:
        raise RecordError(
            f"The steps of this thread do not validate: {error.message}",
            cure="Another version of exprag wrote them, or they were edited by hand: fork from an earlier step.",
        ) from error


def _context(runtime: Runtime[Context] | None) -> Context:
    """What this invocation set; a graph of somebody else's may have a context without our fields."""
    given = runtime.context if runtime is not None else None
    return Context(**{name: getattr(given, name) for name in _FIELDS if hasattr(given, name)})


@dataclass
class Begin:
    """A new episode: resolve the task, forget whatever the thread held before. Raises EnvError for an unknown task."""

    environment: TextEnvironment

    def __call__(self, state: State) -> Update:
        if "task" not in state:
            raise ConfigError("The input has no task.", cure='Invoke with {"task": "<task id>"} or a Task as JSON.')
        update = {
            "task": self.environment.task(state["task"]).to_dict(),
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
            start = self.sessions.reset(state["episode"], task, state.get("seed"))
            resolved = start.task or task
            return {"task": resolved.to_dict(), "observation": start.observation, "score": start.score}
        need(state, "steps", "observation")
        if isinstance(pending, str):  # as a person may write it
            pending = {"action": pending}
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
        limit = _context(runtime).max_steps or self.max_steps or self.sessions.describe.max_steps(task)
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
        """Whether this step asks the bank anew; a graph may route round the node where it does not."""
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
            retriever = copy.copy(retriever)
            retriever.k = k if context.memory else 0
            retriever.documents = retriever.documents if context.memory else 0
            retriever.keep = min(retriever.keep, retriever.k)
        moment = Moment(Task.from_dict(state["task"]), _steps(state), state["observation"])
        memory = recall(retriever, self.formatter, moment, state.get("memory"), self.options, self.count_tokens)
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
    in_force = previous if previous is not None and options.growing else {}
    standing = _blocks(in_force)
    known = {item["id"] for item in in_force.get("recalled", ())}
    candidates = [found_one for found_one in found.candidates if found_one.trajectory.id not in known]
    if options.growing and options.budget is not None:
        options = replace(options, budget=max(0, options.budget - sum(count_tokens(block["text"]) for block in standing)))
    block = build_block(candidates, formatter, options, count_tokens)
    known_documents = {item["id"] for item in in_force.get("documents", ())}
    documents = _document_block([hit for hit in found.documents if hit.document.id not in known_documents], options, count_tokens)
    text = "\n\n".join(part for part in (block.text, documents.text) if part)
    # a block that comes back as it was stays where it stands: what a server has cached of the prompt remains good
    same = previous is not None and previous.get("text") == text
    memory = {
        "text": text,
        "at": previous["at"] if previous is not None and same else len(moment.steps),
        "earlier": standing,
        "recalled": [*in_force.get("recalled", ()), *(item.to_dict() for item in block.shown)],
        "abbreviated": [item.to_dict() for item in block.abbreviated],
        "dropped": [item.to_dict() for item in (*block.dropped, *documents.dropped)],
        "documents": [*in_force.get("documents", ()), *(item.to_dict() for item in documents.shown)],
        "query": found.query,
        "subgoal": found.subgoal,
        "bank_version": found.bank_version,
    }
    if standing and not text:  # nothing new: the blocks in force are all there is
        memory |= {"text": in_force["text"], "at": in_force["at"], "earlier": standing[:-1]}
    emit_recalled(len(moment.steps), memory)
    return memory


def _document_block(hits: Sequence[DocumentHit], options: MemoryOptions, count_tokens: Callable[[str], int]) -> MemoryBlock:
    if not hits:
        return MemoryBlock()
    from exprag.integrations.document_block import document_block

    return document_block(hits, options.document_budget, count_tokens)


def _blocks(memory: dict[str, Any]) -> list[dict[str, Any]]:
    """The blocks that stand in a growing memory, the oldest first."""
    return [*memory.get("earlier", ()), {"text": memory["text"], "at": memory["at"]}] if memory.get("text") else []


@dataclass
class Act:
    """Ask the model for the next action. Raises ModelError where it cannot be asked or gives nothing usable."""

    model: BaseChatModel
    prompt: Prompt

    @spanned
    def __call__(self, state: State) -> Update:
        need(state, "task", "observation")
        steps = _steps(state)
        memory = Memory.of(state.get("memory"), state.get("hints") or ())
        style, templates = self.prompt.style, self.prompt.templates
        try:
            messages = self.prompt.messages(Task.from_dict(state["task"]), steps, state["observation"], memory)
        except ExpragError:
            raise
        except Exception as error:
            raise PluginError(
                f"The prompt could not be written in the style {style.name!r}: {type(error).__name__}: {error}.",
                cure="Its `write` must give text for any step: report it to the style's author.",
            ) from error
        reply = ask(self.model, style, messages, templates)
        turn = reply.turn
        if not turn.action and [step.action for step in steps[1 - EMPTY_TURNS :]] == [""] * (EMPTY_TURNS - 1):
            raise ModelError(
                f"The model gave no action in {EMPTY_TURNS} turns running; its last turn was {reply.text[:80]!r}.",
                cure="Check its chat template and token limit.",
            )
        whole = reply.text if reply.text.strip() != turn.action else None
        said = {"action": turn.action, "thought": turn.thought, "note": turn.note}
        emit("acted", len(steps), **said, usage=reply.usage)
        return {"action": {**said, "response": whole, "usage": reply.usage}}


@dataclass
class Finish:
    """The episode is over: write its Trajectory into the state and free its environment."""

    sessions: Sessions
    model_name: str = ""

    @spanned
    def __call__(self, state: State, runtime: Runtime[Context] | None = None) -> Update:
        need(state, "task", "episode")
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
                run=_context(runtime).run,
                model=self.model_name,
                created=now(),
                seed=state.get("seed"),
                bank_version=memory.get("bank_version"),
            ),
            error=EpisodeError.from_dict(state["error"]) if state.get("error") else None,
        )
        return {"trajectory": trajectory.to_dict()}
