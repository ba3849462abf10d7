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


@dataclass
class Context:
    """What one invocation may set."""

    max_steps: int | None = field(default=None, metadata={"description": "Step limit; default: the environment's own."})
    memory: bool = field(default=True, metadata={"description": "Whether the bank is asked; off: the agent without memory."})
    k: int | None = field(default=None, metadata={"description": "Trajectories recalled at a time; default: the agent's own."})
    run: str = field(default="", metadata={"description": "Name of the run, kept in the trajectory's provenance."})


def need(state: State, *names: str) -> None:
    """Raises RecordError where the state lacks what a node reads: not begun, or written by another version or graph."""
    missing = [name for name in names if state.get(name) is None]
    if missing:
        raise RecordError(
            f"The thread's state has no {', '.join(missing)}: the episode was not begun, or another graph or version wrote it.",
            cure='Start with {"task": …}, on a new thread if this one is not ours.',
        )
