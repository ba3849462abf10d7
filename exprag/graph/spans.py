"""Episodes and steps as OpenTelemetry spans, over the nodes of a graph.

    episode (invoke_agent exprag)
        step                       from one observation to the next: retrieval and model call are its children
            search_memory
            chat MODEL

One episode is many node calls, in several threads, so its spans are kept here by the episode's id and made current while a
node runs. What nodes return says where the episode stands. A thread that goes on in another process, or on a fork, has no
span here: it gets a new one, marked `exprag.resumed`, and `gen_ai.conversation.id` joins the two.
"""

from __future__ import annotations

import atexit
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import wraps
from threading import Lock
from typing import TYPE_CHECKING, Any, TypeVar, cast

from langgraph.errors import GraphBubbleUp

from exprag.telemetry import Attributes, fail, tell, texts_wanted, tracer

if TYPE_CHECKING:
    from opentelemetry.trace import Span

CAPACITY = 1024  # unfinished episodes whose spans are remembered, at most

State = dict[str, Any]
Call = TypeVar("Call", bound=Callable[..., Any])


def opened(update: State) -> State:
    """What the node `Begin` returns: here the episode's span begins."""
    if tracer() is not None:
        _spans.open(update, {})
    return update


def spanned(call: Call) -> Call:
    """Decorates the `__call__` of a node: it runs inside the spans of its episode and step."""

    @wraps(call)
    def run(node: object, state: State, *args: Any, **kwargs: Any) -> Any:
        live = _spans.find(state) if tracer() is not None else None
        if live is None:
            return call(node, state, *args, **kwargs)
        with live.current():
            try:
                update = call(node, state, *args, **kwargs)
            except GraphBubbleUp:  # an interrupt: the episode waits
                raise
            except Exception as error:  # the graph decides what follows: the end of the episode, another try, or nothing
                live.fail(getattr(error, "boundary", type(error).__qualname__), str(error))
                raise
        if isinstance(update, dict):
            _spans.follow(state, update, live)
        return update

    return cast(Call, run)


@dataclass
class _Live:
    """The open spans of an episode; `number` is the step's."""

    episode: Span
    step: Span | None = None
    number: int = -1

    @contextmanager
    def current(self) -> Iterator[None]:
        from opentelemetry.trace import use_span

        with use_span(self.step or self.episode, record_exception=False, set_status_on_exception=False):
            yield

    def next_step(self, number: int) -> None:
        from opentelemetry.trace import set_span_in_context

        current_tracer = tracer()
        assert current_tracer is not None
        self.end_step({})
        self.step = current_tracer.start_span("step", set_span_in_context(self.episode), attributes={"exprag.step": number})
        self.number = number

    def end_step(self, about: Attributes) -> None:
        if self.step is not None:
            tell(self.step, about)
            self.step.end()
            self.step = None

    def fail(self, kind: str, message: str) -> None:
        for span in (self.step, self.episode):
            if span is not None:
                fail(span, kind, message)

    def end(self, about: Attributes) -> None:
        self.end_step({})
        tell(self.episode, about)
        self.episode.end()


class _Spans:
    """The open spans by episode."""

    def __init__(self) -> None:
        self._live: OrderedDict[str, _Live] = OrderedDict()
        self._lock = Lock()

    def open(self, state: State, more: Attributes) -> _Live | None:
        current_tracer = tracer()
        assert current_tracer is not None
        span = current_tracer.start_span("invoke_agent exprag")
        if not span.get_span_context().is_valid:  # no SDK
            return None
        tell(span, {**_begun(state), **more})
        live = _Live(span)
        with self._lock:
            if not self._live:
                atexit.unregister(self.close_all)
                atexit.register(self.close_all)  # after the SDK registered its own: what waits is sent before that closes
            self._live[state["episode"]] = live
            forgotten = [self._live.popitem(last=False)[1] for _ in range(len(self._live) - CAPACITY)]
        for old in forgotten:
            old.end({})
        return live

    def find(self, state: State) -> _Live | None:
        """The open spans of the state's episode, opened again where it comes from elsewhere; None without an episode or SDK."""
        episode = state.get("episode")
        if not episode or state.get("trajectory"):  # not begun, or over
            return None
        live = self._live.get(episode) or self.open(state, {"exprag.resumed": True})
        number = len(state.get("steps", ()))
        if live is not None and state.get("observation") is not None and not state.get("ended") and live.number != number:
            live.next_step(number)
        return live

    def follow(self, state: State, update: State, live: _Live) -> None:
        """Open and close what the update of a node says has begun or ended."""
        if update.get("steps"):
            live.end_step({**_played(update["steps"][-1]), "exprag.score": update.get("score")})
        if update.get("trajectory"):
            self.close(state["episode"], _outcome(update["trajectory"]))
        elif update.get("observation") is not None and not update.get("ended"):
            live.next_step(len(state.get("steps", ())) + len(update.get("steps", ())))

    def close(self, episode: str, about: Attributes) -> None:
        with self._lock:
            live = self._live.pop(episode, None)
        if live is not None:
            live.end(about)

    def close_all(self) -> None:
        for episode in list(self._live):
            self.close(episode, {})


_spans = _Spans()


def _begun(state: State) -> Attributes:
    task = state.get("task")
    about = task if isinstance(task, dict) else {}
    return {
        "gen_ai.operation.name": "invoke_agent",
        "gen_ai.agent.name": "exprag",
        "gen_ai.conversation.id": state["episode"],
        "exprag.environment": about.get("environment"),
        "exprag.task.id": about.get("id"),
        "exprag.task.type": about.get("type"),
    }


def _played(step: dict[str, Any]) -> Attributes:
    return {
        "exprag.valid": step.get("valid"),
        "exprag.reward": step.get("reward"),
        "exprag.note": step.get("note"),
        "exprag.action": step["action"] if texts_wanted() else None,
    }


def _outcome(trajectory: dict[str, Any]) -> Attributes:
    usages = [step["usage"] for step in trajectory["steps"] if step.get("usage")]
    return {
        "exprag.trajectory.id": trajectory["id"],
        "exprag.run": trajectory["provenance"]["run"] or None,
        "exprag.seed": trajectory["provenance"]["seed"],
        "exprag.success": trajectory["success"],
        "exprag.score": trajectory["score"],
        "exprag.ended": trajectory["ended"],
        "exprag.steps": len(trajectory["steps"]),
        "gen_ai.usage.input_tokens": sum(usage["prompt"] for usage in usages) if usages else None,
        "gen_ai.usage.output_tokens": sum(usage["completion"] for usage in usages) if usages else None,
        "gen_ai.usage.cache_read.input_tokens": _total(usages, "cached"),
        "exprag.usage.cost_usd": _total(usages, "cost"),
    }


def _total(usages: list[dict[str, Any]], name: str) -> Any:
    """The sum of a count that not every call tells; None where none does."""
    values = [usage[name] for usage in usages if usage.get(name) is not None]
    return sum(values) if values else None
