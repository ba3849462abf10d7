"""LangChain's ChatOpenAI for servers of every kind: limits on what a server may send, and what else it says.

What ChatOpenAI leaves open is closed here: a server that sends a byte now and then for ever (the timeout of an HTTP client is per
read), an answer without end, reasoning in a field of its own, which it drops, and usage that is no count, which it raises on.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextvars import ContextVar
from typing import Any

from langchain_core.messages import BaseMessage
from langchain_core.outputs import ChatResult
from langchain_openai import ChatOpenAI
from openai import DefaultAsyncHttpxClient, DefaultHttpxClient

from exprag.errors import ModelError
from exprag.models.calls import guarded
from exprag_models.direct import DirectCalls, FirstAnswer
from exprag_models.limits import UNREACHED, Limits, http
from exprag_models.servers import Servers

_REASONING = ("reasoning_content", "reasoning")
# Parts of a request that openai's client alone knows how to make: a schema to be read by, other headers, the answer in pieces.
_NOT_DIRECT = {"response_format", "extra_headers", "extra_query", "timeout", "stream_options"}
_first_answer: ContextVar[FirstAnswer | None] = ContextVar("first_answer", default=None)


class ServerChat(ChatOpenAI):
    """A chat model behind an OpenAI-compatible server; reasoning goes to `additional_kwargs["reasoning_content"]`.

    Calls after the first go to a server of your own without openai's client, see `exprag_models.direct`.
    """

    def _generate(
        self, messages: list[BaseMessage], stop: list[str] | None = None, run_manager: Any = None, **kwargs: Any
    ) -> ChatResult:
        answer = self._ask_directly(messages, stop, kwargs)
        if isinstance(answer, dict):
            return self._create_chat_result(answer)
        token = _first_answer.set(answer)
        try:
            return super()._generate(messages, stop, run_manager, **kwargs)
        finally:
            _first_answer.reset(token)

    def _ask_directly(self, messages: list[BaseMessage], stop: list[str] | None, options: dict[str, Any]) -> Any:
        """The server's answer as JSON; else what openai's client makes of the call, None where it is to begin it."""
        direct = getattr(self.http_client, "direct", None)
        if direct is None or not direct.ready or self.include_response_headers or _NOT_DIRECT & options.keys():
            return None
        payload = self._get_request_payload(messages, stop=stop, **options)
        if _NOT_DIRECT & payload.keys() or payload.get("stream") or self._use_responses_api(payload):
            return None
        extra = payload.pop("extra_body", None) or {}
        return direct.post(payload | extra)

    def _get_request_payload(self, input_: Any, *, stop: list[str] | None = None, **kwargs: Any) -> dict[str, Any]:
        """The fields of a request. Messages go by `extra_body`, which openai sends as it is: it walks through other fields, part
        by part with their types, which takes longer than all the rest of a call where a history is long."""
        payload: dict[str, Any] = super()._get_request_payload(input_, stop=stop, **kwargs)
        if isinstance(payload.get("messages"), list):
            payload["extra_body"] = {**(payload.get("extra_body") or {}), "messages": payload["messages"]}
            payload["messages"] = []
        return payload

    def _create_chat_result(self, response: Any, generation_info: dict[str, Any] | None = None) -> ChatResult:
        answer = response if isinstance(response, dict) else _plain(response)
        choices = answer.get("choices") if isinstance(answer, dict) else None
        if choices == [] or (choices and not all(isinstance(choice, dict) and choice.get("message") for choice in choices)):
            raise ModelError("The server's response holds no answer: its choices are empty.", cure="Look at the server's log.")
        broken = isinstance(answer, dict) and not _counts(answer.get("usage"))
        if broken:
            answer = {**answer, "usage": None}
            response = answer if isinstance(response, dict) else response.model_copy(update={"usage": None})
        result = super()._create_chat_result(response, generation_info)
        choices = answer.get("choices") or [] if isinstance(answer, dict) else []
        for generation, choice in zip(result.generations, choices, strict=False):
            message = choice.get("message") or {}
            reasoning = next((message[name] for name in _REASONING if isinstance(message.get(name), str)), "")
            if reasoning:
                generation.message.additional_kwargs["reasoning_content"] = reasoning
            if broken:
                generation.message.response_metadata["broken_usage"] = True
        return result


def _plain(response: Any) -> Any:
    dump = getattr(response, "model_dump", None)
    return dump(exclude={"choices": {"__all__": {"message": {"parsed"}}}}, warnings=False) if dump else None


def _counts(usage: Any) -> bool:
    """Whether the usage is missing, or counts of tokens."""
    if usage is None:
        return True
    if not isinstance(usage, dict):
        return False
    numbers = [usage.get(name) or 0 for name in ("prompt_tokens", "completion_tokens", "total_tokens")]
    return all(isinstance(number, int) and number >= 0 for number in numbers)


class _Stream(http.SyncByteStream):
    """The byte stream of a response, within limits."""

    def __init__(self, stream: Any, limits: Limits) -> None:
        self._stream, self._limits = stream, limits

    def __iter__(self) -> Iterator[bytes]:
        for part in self._stream:
            yield self._limits.take(part)

    def close(self) -> None:
        self._stream.close()


class _AsyncStream(http.AsyncByteStream):
    """`_Stream` for coroutines."""

    def __init__(self, stream: Any, limits: Limits) -> None:
        self._stream, self._limits = stream, limits

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for part in self._stream:
            yield self._limits.take(part)

    async def aclose(self) -> None:
        await self._stream.aclose()


class LimitedClient(DefaultHttpxClient):
    """An HTTP client whose responses are limited in time and size as a whole, for several servers that take turns."""

    seconds: float = 120.0
    servers: Servers | None = None
    direct: DirectCalls | None = None

    def send(self, request: Any, *, stream: bool = False, **kwargs: Any) -> Any:
        first = _first_answer.get()
        if first is not None and (response := first.take(request)) is not None:
            _leave_to_guard(response)
            return response
        limits = Limits(self.seconds)
        response = self._reach(request, **kwargs) if self.servers else super().send(request, stream=True, **kwargs)
        if self.direct is not None:
            self.direct.learn(request, response)
        response.stream = _Stream(response.stream, limits)
        _leave_to_guard(response)
        if not stream:
            try:
                response.read()
            except BaseException:
                response.close()
                raise
        return response

    def _reach(self, request: Any, **kwargs: Any) -> Any:
        """The response of the first server that can be reached. Raises the error of the last where none can."""
        assert self.servers is not None
        last: Exception | None = None
        for base, url in self.servers.addresses(str(request.url)):
            try:
                return super().send(_addressed(request, url), stream=True, **kwargs)
            except UNREACHED as error:
                self.servers.failed(base)
                last = error
        assert last is not None
        raise last


class LimitedAsyncClient(DefaultAsyncHttpxClient):
    """`LimitedClient` for coroutines."""

    seconds: float = 120.0
    servers: Servers | None = None

    async def send(self, request: Any, *, stream: bool = False, **kwargs: Any) -> Any:
        limits = Limits(self.seconds)
        response = await (self._reach(request, **kwargs) if self.servers else super().send(request, stream=True, **kwargs))
        response.stream = _AsyncStream(response.stream, limits)
        _leave_to_guard(response)
        if not stream:
            try:
                await response.aread()
            except BaseException:
                await response.aclose()
                raise
        return response

    async def _reach(self, request: Any, **kwargs: Any) -> Any:
        assert self.servers is not None
        last: Exception | None = None
        for base, url in self.servers.addresses(str(request.url)):
            try:
                return await super().send(_addressed(request, url), stream=True, **kwargs)
            except UNREACHED as error:
                self.servers.failed(base)
                last = error
        assert last is not None
        raise last


def limited_clients(seconds: float, urls: list[str]) -> dict[str, Any]:
    """The HTTP clients of a `ServerChat`, sync and async, whose answers may take this many seconds each."""
    sync, asynchronous = LimitedClient(), LimitedAsyncClient()
    sync.seconds = asynchronous.seconds = seconds
    sync.servers = asynchronous.servers = Servers(urls) if len(urls) > 1 else None
    sync.direct = DirectCalls(seconds, sync.servers)
    return {"http_client": sync, "http_async_client": asynchronous}


def _addressed(request: Any, url: str) -> Any:
    """The request, to another URL."""
    request.url = http.URL(url)
    request.headers["Host"] = request.url.netloc.decode("ascii")
    return request


def _leave_to_guard(response: Any) -> None:
    """Where calls are guarded, a refused one is made again there and not by the client: it holds no other call back meanwhile."""
    if response.status_code == 429 and guarded.get():
        response.headers["x-should-retry"] = "false"
