"""What a thread holds, what it is started with, and what one invocation may set. All plain JSON."""

from __future__ import annotations

import operator
from dataclasses import dataclass, field
from typing import Annotated, Any

from typing_extensions import TypedDict  # LangChain's own: a state can inherit from both

from exprag.errors import RecordError


class InputState(TypedDict, total=False):
    """What an episode is started with."""

    task: str | dict[str, Any]
    """Id of a task, or a Task as JSON."""
    seed: int | None
    """Passed to the environment's reset."""
    hints: list[str]
    """Short rules for the prompt, right after the task (hint distillation, stage C)."""


class State(InputState, total=False):
    """What a thread holds. All plain JSON."""

    episode: str
    """Names the live environment of this episode; any value will do, replay rebuilds it."""
    observation: str
    """What is observed now."""
    # Checkpoints hold the whole list: 22 MB of SQLite for 100 steps of 1 KB. langgraph's DeltaChannel makes that 2.7 MB, but its
    # format on disk is beta, and a thread is to be read by later versions.
    steps: Annotated[list[dict[str, Any]], operator.add]
    """The steps so far, as Step records."""
    memory: dict[str, Any] | None
    """The memory in force, as a MemoryState record."""
    action: dict[str, Any] | str | None
    """The action about to be played: action, thought, response, note, usage; or the bare action, where a person sets it."""
    score: float
    success: bool
    ended: str | None
    """None while the episode runs; else terminated, truncated or error."""
    error: dict[str, Any] | None
    """The boundary and message of what broke the episode."""
    trajectory: dict[str, Any] | None
    """The finished episode as a Trajectory record."""


def _about(description: str, *nodes: str, type: str = "") -> dict[str, Any]:
    """What Studio shows of a field, at which nodes it may be edited, and as what: a "prompt" has an editor of its own."""
    more: dict[str, Any] = {"langgraph_nodes": list(nodes), **({"langgraph_type": type} if type else {})}
    return {"description": description, "json_schema_extra": more}


@dataclass
class Context:
    """What one invocation may set."""

    max_steps: int | None = field(default=None, metadata=_about("Step limit; default: the environment's own.", "observe"))
    memory: bool = field(default=True, metadata=_about("Whether the bank is asked; off: the agent without memory.", "retrieve"))
    k: int | None = field(default=None, metadata=_about("Trajectories recalled at a time; default: the agent's own.", "retrieve"))
    instruction: str = field(
        default="", metadata=_about("Said at the end of the system message; kept in the trajectory.", "act", type="prompt")
    )
    run: str = field(default="", metadata=_about("Name of the run, kept in the trajectory's provenance.", "finish"))


def need(state: State, *names: str) -> None:
    """Raises RecordError where the state lacks what a node reads: not begun, or written by another version or graph."""
    missing = [name for name in names if state.get(name) is None]
    if missing:
        raise RecordError(
            f"The thread's state has no {', '.join(missing)}: the episode was not begun, or another graph or version wrote it.",
            cure='Start with {"task": …}, on a new thread if this one is not ours.',
        )
