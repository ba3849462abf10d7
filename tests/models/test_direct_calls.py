"""Calls that are made without openai's client: the same requests, the same outcomes, over connections that last."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from langchain_core.messages import AIMessageChunk, HumanMessage
from pydantic import BaseModel

from exprag.models import load_model

pytest.importorskip("langchain_openai")

USAGE = {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10, "prompt_tokens_details": {"cached_tokens": 4}}
MESSAGE = {"role": "assistant", "content": "look", "reasoning_content": "near", "refusal": None}
CHOICE = {"index": 0, "message": MESSAGE, "finish_reason": "stop"}
BODY = {"id": "1", "object": "chat.completion", "created": 0, "model": "m", "choices": [CHOICE], "usage": USAGE}


class Server:
    """Answers well, but for the calls (numbered from 1) whose answer is in `strange`: (status, headers, body)."""

    def __init__(self, strange: dict[int, tuple[int, dict[str, str], bytes]] | None = None, hang_up: bool = False) -> None:
        self.requests: list[tuple[str, dict[str, str], Any]] = []
        self.connections = 0
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def setup(self) -> None:
                super().setup()
                outer.connections += 1

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                outer.requests.append((self.path, dict(self.headers.items()), body))
                good = (200, {"Content-Type": "application/json"}, json.dumps(BODY).encode())
                status, headers, payload = (strange or {}).get(len(outer.requests), good)
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(payload)))
                self.end_headers()
                self.wfile.write(payload)
                self.close_connection = hang_up  # without a word of it

            def log_message(self, format: str, *args: Any) -> None: ...

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self._server.server_port}/v1"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def serve() -> Iterator[Callable[..., Server]]:
    servers: list[Server] = []

    def start(*args: Any, **options: Any) -> Server:
        servers.append(Server(*args, **options))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


def load(server: Server, options: str = "") -> Any:
    return load_model(f"openai:m?base_url={server.url}&api_key=k{options}")


def test_a_later_call_sends_what_the_first_sent_and_reads_the_same(serve: Callable[..., Server]) -> None:
    server = serve()
    model = load(server, '&max_tokens=5&extra_body={"top_k": 5}')
    first, later, last = (model.invoke([HumanMessage("ä")], stop=["\n"]) for _ in range(3))
    (path, headers, body), (later_path, later_headers, later_body), _ = server.requests
    assert (later_path, later_body) == (path, body)
    assert body["top_k"] == 5
    assert body["messages"] == [{"role": "user", "content": "ä"}]
    own = {"Accept-Encoding", "Connection", "Content-Length"}
    assert {n.lower(): v for n, v in later_headers.items() if n not in own} == {
        n.lower(): v for n, v in headers.items() if n not in own
    }
    for name in ("content", "usage_metadata", "tool_calls"):
        assert getattr(later, name) == getattr(first, name)
    assert first.additional_kwargs == later.additional_kwargs | {"refusal": None}
    assert later.additional_kwargs["reasoning_content"] == "near"
    assert later.response_metadata["finish_reason"] == "stop"
    assert later.response_metadata["model_name"] == first.response_metadata["model_name"] == "m"
    assert last.content == "look"
    assert server.connections == 2  # openai's client has one, all later calls share another


def test_a_user_in_the_address_is_sent_as_such(serve: Callable[..., Server]) -> None:
    server = serve()
    model = load_model(f"openai:m?base_url={server.url.replace('//', '//me:secret@')}")
    assert [model.invoke("x").content for _ in range(2)] == ["look", "look"]
    first, later = (headers for _, headers, _ in server.requests)
    assert first["Authorization"].startswith("Basic ")
    assert (later["Authorization"], later["Host"]) == (first["Authorization"], first["Host"])


def test_openai_s_client_retries_what_failed_directly(serve: Callable[..., Server]) -> None:
    busy = (500, {"Content-Type": "application/json"}, b'{"error": {"message": "busy"}}')
    server = serve({2: busy, 3: busy})
    model = load(server, "&max_retries=2")
    assert [model.invoke("x").content for _ in range(2)] == ["look", "look"]
    assert len(server.requests) == 4
    assert [headers["x-stainless-retry-count"] for _, headers, _ in server.requests] == ["0", "0", "1", "2"]


def test_a_connection_that_the_server_closed_is_not_used_again(serve: Callable[..., Server]) -> None:
    server = serve(hang_up=True)
    model = load(server, "&max_retries=0")
    for number in range(1, 5):
        assert model.invoke("x").content == "look"
        assert server.connections == number


def test_a_redirect_is_followed(serve: Callable[..., Server]) -> None:
    target = serve()
    moved = (307, {"Location": f"{target.url}/chat/completions"}, b"")
    server = serve({2: moved, 3: moved})
    model = load(server, "&max_retries=0")
    model.invoke("x")
    assert model.http_client.direct.ready
    assert model.invoke("x").content == "look"
    assert len(target.requests) == 1


def test_a_proxy_schemas_and_streams_are_left_to_openai_s_client(
    serve: Callable[..., Server], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Action(BaseModel):
        action: str

    chunk = {**BODY, "object": "chat.completion.chunk", "choices": [{"index": 0, "delta": {"content": "look"}}]}
    events = b"".join(b"data: " + each + b"\n\n" for each in (json.dumps(chunk).encode(), b"[DONE]"))
    answer = {**BODY, "choices": [{**CHOICE, "message": {"role": "assistant", "content": '{"action": "look"}'}}]}
    structured = (200, {"Content-Type": "application/json"}, json.dumps(answer).encode())
    server = serve({2: (200, {"Content-Type": "text/event-stream"}, events), 3: structured})
    model = load(server)
    model.invoke("x")
    chunks = list(model.stream("x"))
    assert "".join(chunk.content for chunk in chunks) == "look"
    assert all(isinstance(chunk, AIMessageChunk) for chunk in chunks)
    assert model.with_structured_output(Action).invoke("x") == Action(action="look")

    monkeypatch.setenv("http_proxy", server.url.removesuffix("/v1"))
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    proxied = load_model("openai:m?base_url=http://models.test/v1&api_key=k")
    assert [proxied.invoke("x").content for _ in range(2)] == ["look", "look"]
    assert not proxied.http_client.direct.ready
    assert [path for path, _, _ in server.requests[-2:]] == ["http://models.test/v1/chat/completions"] * 2
