"""Spans of OpenTelemetry, through its API alone (extra `otel`): without it, or without an SDK of the user's, nothing happens.

Nothing is sent anywhere unless the process has configured an SDK with an exporter. Attributes follow the GenAI semantic
conventions where those have a name, else they begin with `exprag.`. Texts (queries, actions) are recorded only where the
conventions' own switch allows it: OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT=true.

Episodes and steps, which span many nodes, are in `exprag.graph.spans`.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache, wraps
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel, LangSmithParams
    from langchain_core.messages import BaseMessage
    from opentelemetry.trace import Span, Tracer

    from exprag.contracts import Candidate
    from exprag.retrieval import Retrieval, Retriever

P = ParamSpec("P")
Attributes = Mapping[str, Any]
Tell = Callable[[Attributes], None]

CAPTURE = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"


def tracer() -> Tracer | None:
    """The tracer; None where OpenTelemetry's API is not installed, or the process has configured no SDK so far."""
    api = _api()
    if api is None or isinstance(api.get_tracer_provider(), api.ProxyTracerProvider):
        return None
    return _tracer()


@cache
def _api() -> Any:
    try:
        from opentelemetry import trace
    except ImportError:
        return None
    return trace


@cache
def _tracer() -> Tracer:
    from exprag import __version__

    tracer_of_ours: Tracer = _api().get_tracer("exprag", __version__)
    return tracer_of_ours


def texts_wanted() -> bool:
    """Whether texts may stand in spans."""
    return os.environ.get(CAPTURE, "").strip().lower() == "true"


def tell(span: Span, attributes: Attributes) -> None:
    """Set those attributes that have a value; an empty sequence is one."""
    for name, value in attributes.items():
        if value is not None:
            span.set_attribute(name, value)


def fail(span: Span, kind: str, message: str) -> None:
    """Mark a span as failed."""
    from opentelemetry.trace import Status, StatusCode

    span.set_attribute("error.type", kind)
    span.set_status(Status(StatusCode.ERROR, message))


@contextmanager
def span(name: str, attributes: Callable[[], Attributes], *, client: bool = False) -> Iterator[Tell | None]:
    """A span round a piece of work, child of the current one: yields what adds attributes, or None if nobody records.

    `attributes` is called only where somebody does. An exception marks the span as failed, and goes on.
    """
    current_tracer = tracer()
    if current_tracer is None:
        yield None
        return
    from opentelemetry.trace import SpanKind

    kind = SpanKind.CLIENT if client else SpanKind.INTERNAL
    with current_tracer.start_as_current_span(name, kind=kind, record_exception=False, set_status_on_exception=False) as started:
        if not started.is_recording():
            yield None
            return
        tell(started, attributes())
        try:
            yield lambda more: tell(started, more)
        except Exception as error:
            fail(started, type(error).__qualname__, str(error))
            raise


def spanned_retrieval(
    retrieve: Callable[Concatenate[Retriever, P], Retrieval | None],
) -> Callable[Concatenate[Retriever, P], Retrieval | None]:
    """Decorates `Retriever.retrieve`: one span for each time that the bank is asked."""

    @wraps(retrieve)
    def run(retriever: Retriever, *args: P.args, **kwargs: P.kwargs) -> Retrieval | None:
        with span("search_memory", lambda: _asked(retriever)) as tell_more:
            retrieval = retrieve(retriever, *args, **kwargs)
            if tell_more:
                tell_more(_found(retrieval))
            return retrieval

    return run


@contextmanager
def model_call(model: BaseChatModel) -> Iterator[Callable[[BaseMessage], None]]:
    """A span round one call of a chat model; hand the reply to what it yields."""
    if tracer() is None:
        yield lambda _: None
        return
    about = model._get_ls_params()
    name = about.get("ls_model_name") or type(model).__name__
    with span(f"chat {name}", lambda: _request(name, about), client=True) as tell_more:
        yield (lambda reply: tell_more(_reply(reply))) if tell_more else (lambda _: None)


def _asked(retriever: Retriever) -> Attributes:
    return {
        "gen_ai.operation.name": "search_memory",
        "gen_ai.memory.store.id": str(retriever.bank.uri),
        "exprag.strategy": retriever.strategy_name,
        "exprag.selector": retriever.selector_name,
        "exprag.refresh": retriever.refresh,
        "exprag.k": retriever.k,
    }


def _found(retrieval: Retrieval | None) -> Attributes:
    if retrieval is None:  # the memory stays as it is
        return {"exprag.refreshed": False}
    candidates = retrieval.candidates
    return {
        "exprag.refreshed": True,
        "gen_ai.memory.record.count": len(candidates),
        "exprag.bank.version": retrieval.bank_version,
        "exprag.recalled.ids": [c.trajectory.id for c in candidates],
        "exprag.recalled.scores": [float(c.score) for c in candidates],
        "exprag.recalled.reasons": [c.reason for c in candidates],
        "gen_ai.memory.query.text": retrieval.query if texts_wanted() else None,
        "gen_ai.memory.records": _records(candidates) if texts_wanted() else None,
    }


def _records(candidates: Sequence[Candidate]) -> str:
    """The records that a search gave, as the conventions have them: JSON with content, id, score and metadata of each."""
    return json.dumps(
        [
            {
                "content": candidate.trajectory.task.instruction,
                "id": candidate.trajectory.id,
                "score": float(candidate.score),
                "metadata": {"environment": candidate.trajectory.task.environment, "reason": candidate.reason},
            }
            for candidate in candidates
        ]
    )


def _request(name: str, about: LangSmithParams) -> Attributes:
    return {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": about.get("ls_provider"),
        "gen_ai.request.model": name,
        "gen_ai.request.temperature": about.get("ls_temperature"),
        "gen_ai.request.max_tokens": about.get("ls_max_tokens"),
    }


def _reply(reply: BaseMessage) -> Attributes:
    usage = getattr(reply, "usage_metadata", None) or {}
    about = reply.response_metadata
    reason = about.get("finish_reason")
    return {
        "gen_ai.response.id": about.get("id"),
        "gen_ai.response.model": about.get("model_name"),
        "gen_ai.response.finish_reasons": [str(reason)] if reason else None,
        "gen_ai.usage.input_tokens": usage.get("input_tokens"),
        "gen_ai.usage.output_tokens": usage.get("output_tokens"),
        "gen_ai.usage.cache_read.input_tokens": (usage.get("input_token_details") or {}).get("cache_read"),
    }
