"""What composing takes besides the nodes: errors that end an episode as data, and the way on while it runs."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable, Mapping
from typing import Any

from langgraph.errors import GraphBubbleUp
from langgraph.runtime import Runtime
from langgraph.types import Command

from exprag.errors import ExpragError
from exprag.faults import log_fault
from exprag.graph.state import Context, State

log = logging.getLogger("exprag.graph")


SUPERSTEPS = 4  # of one step of an episode, at most: observe, retrieve, act, and one of a node set between them


def recursion_limit(max_steps: int | None = None) -> int:
    """How many supersteps a graph may take, for episodes of at most `max_steps` steps (None: as long as any)."""
    return max(10_000, SUPERSTEPS * (max_steps or 0) + SUPERSTEPS)


def guarded(node: Callable[..., Any]) -> Any:
    """The node, whose errors end the episode as data instead of raising: the state's `error` names boundary, message and cure.

    What is not an ExpragError is a fault of the node itself (boundary "graph"), and its traceback is logged. Interrupts pass.
    """
    name = getattr(node, "__name__", type(node).__name__)
    takes_runtime = "runtime" in inspect.signature(node).parameters

    def run(state: State, runtime: Runtime[Context]) -> Any:
        try:
            update = node(state, runtime) if takes_runtime else node(state)
        except GraphBubbleUp:
            raise
        except ExpragError as error:
            log_fault(error)
            return _broken(error.boundary, str(error))
        except Exception as error:
            log.exception("the node %s raised", name)
            return _broken("graph", f"The node {name} raised {type(error).__name__}: {error}. Its traceback is in the log.")
        if update is not None and not isinstance(update, Mapping | Command):
            return _broken("graph", f"The node {name} gave a {type(update).__name__}. It must give a dict.")
        return update

    run.__name__ = name
    return run


def _broken(boundary: str, message: str) -> dict[str, Any]:
    return {"ended": "error", "error": {"boundary": boundary, "message": message}}


def unless_over(then: str | Callable[[State], str], *, over: str = "finish") -> Callable[[State], str]:
    """The route to `then` while the episode runs, to `over` when it has ended."""

    def route(state: State) -> str:
        if state.get("ended"):
            return over
        return then if isinstance(then, str) else then(state)

    return route
