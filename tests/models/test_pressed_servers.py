"""Servers that have too many calls, die or come in several, as real ones on loopback, called from many threads."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from langchain_core.messages import HumanMessage

from exprag.errors import ModelError, RunError
from exprag.models import load_model
from exprag.models.calls import call_guarded
from exprag.models.pressure import pressure_on, retry_after
from exprag.runs import RunConfig, RunDirectory, run

pytest.importorskip("langchain_openai")


class Server:
    """Answers "look" after `seconds`, at most `room` calls at once: further ones get 429. After `dies_after` calls it breaks
    connections off."""

    def __init__(self, room: int = 1000, seconds: float = 0.0, retry_after: str = "", dies_after: int = 10**9) -> None:
        self.may_die = threading.Event()
        self.may_die.set()
        self.calls = self.refused = self.inside = self.serving = self.most = 0
        lock = threading.Lock()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["Content-Length"]))
                with lock:
                    outer.calls += 1
                    number = outer.calls
                    outer.inside += 1
                    refuse = outer.serving >= room
                    outer.refused += refuse
                    outer.serving += not refuse
                    outer.most = max(outer.most, outer.serving)
                try:
                    if number > dies_after:
                        outer.may_die.wait(60)
                        self.close_connection = True
                        return
                    if not refuse:
                        time.sleep(seconds)
                    message = {"role": "assistant", "content": "look"}
                    choice = {"index": 0, "message": message, "finish_reason": "stop"}
                    body = {"id": "1", "object": "chat.completion", "created": 0, "model": "m", "choices": [choice]}
                    payload = json.dumps({"error": {"message": "too many"}} if refuse else body).encode()
                    self.send_response(429 if refuse else 200)
                    if refuse and retry_after:
                        self.send_header("Retry-After", retry_after)
                    self.send_header("Content-Length", str(len(payload)))
                    self.end_headers()
                    self.wfile.write(payload)
                finally:
                    with lock:
                        outer.inside -= 1
                        outer.serving -= not refuse

            def log_message(self, format: str, *args: Any) -> None: ...

        class Listening(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 128

        self._server = Listening(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self._server.server_port}/v1"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def serve() -> Iterator[Callable[..., Server]]:
    servers: list[Server] = []

    def start(**options: Any) -> Server:
        servers.append(Server(**options))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


def ask(model: Any) -> str:
    return str(call_guarded(model, model.invoke, [HumanMessage("a crate 1")]).content)


def test_a_server_with_room_for_few_answers_many_and_is_pressed_less(
    serve: Callable[..., Server], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("exprag.models.pressure.FIRST_WAIT", 0.05)
    server = serve(room=3, seconds=0.05)
    model = load_model(f"openai:m?base_url={server.url}")
    with ThreadPoolExecutor(12) as threads:
        answers = list(threads.map(lambda _: ask(model), range(60)))
    assert answers == ["look"] * 60
    pressure = pressure_on(model)
    assert server.most == 3
    assert 0 < pressure.refusals == server.refused
    assert pressure.limit < 12  # as many as there were at first are not sent again
    calm = load_model(f"openai:m?base_url={serve().url}")
    ask(calm)
    assert pressure_on(calm).limit == float("inf")


def test_nobody_asks_before_the_server_said(serve: Callable[..., Server]) -> None:
    server = serve(room=0, retry_after="0.6")
    model = load_model(f"openai:m?base_url={server.url}")

    def patient() -> None:
        with suppress(ModelError):  # when the server is closed
            ask(model)

    threading.Thread(target=patient, daemon=True).start()
    deadline = time.monotonic() + 60
    while server.refused == 0 and time.monotonic() < deadline:
        time.sleep(0.01)
    pressure = pressure_on(model)
    while pressure.refusals == 0 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert pressure._resume > time.monotonic() - 0.6
    assert pressure.limit == 1
    assert server.calls < 5  # nor did the client itself ask again at once


def test_a_refusal_that_stays_is_an_error_with_the_servers_reason(
    serve: Callable[..., Server], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("exprag.models.pressure.FIRST_WAIT", 0.001)
    server = serve(room=0)
    with pytest.raises(ModelError, match="too many"):
        ask(load_model(f"openai:m?base_url={server.url}"))
    assert server.calls == 8
    with pytest.raises(ModelError, match="too many"):
        ask(load_model(f"openai:m?base_url={server.url}&max_retries=0"))
    assert server.calls == 9


def test_retry_after_is_read_as_seconds_and_as_a_date() -> None:
    assert retry_after({"retry-after": "7"}) == 7
    assert retry_after({}) == retry_after({"retry-after": "soon"}) == 0
    moment = format_datetime(datetime.now(UTC) + timedelta(seconds=100), usegmt=True)
    assert 50 < retry_after({"Retry-After": moment}) <= 100
    assert retry_after({"Retry-After": format_datetime(datetime.now(UTC) - timedelta(seconds=100), usegmt=True)}) == 0


def test_several_servers_take_turns_and_a_dead_one_is_left_out(
    serve: Callable[..., Server], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("exprag_models.servers.REST", 3600)
    first, second, dying = serve(), serve(), serve(dies_after=2)
    model = load_model(f"openai:m?base_url={first.url},{second.url},{dying.url},http://127.0.0.1:9/v1&max_retries=0")
    assert [ask(model) for _ in range(20)] == ["look"] * 20
    assert dying.calls == 3  # the third was broken off, and made elsewhere
    assert first.calls + second.calls == 18
    assert min(first.calls, second.calls) >= 4
    listed = load_model("openai:m", base_url=[first.url, second.url], max_retries=0)
    assert ask(listed) == "look"


def test_a_server_that_dies_ends_the_run_with_the_reason_and_the_episodes_so_far(
    serve: Callable[..., Server], tmp_path: Path
) -> None:
    server = serve(dies_after=5)
    server.may_die.clear()  # until the five that it answers are kept
    values = {"environment": "toy:Toy", "max_steps": 1, "stop_after_errors": 3}
    spec = f"openai:m?base_url={server.url}&max_retries=0"
    with pytest.raises(RunError, match=r"3 episodes in a row ended in an error of the model: The model failed"):
        run(
            RunConfig.make(**values, model=spec, concurrency=2),
            tmp_path / "r",
            progress=lambda count, total, episode: server.may_die.set() if count == 5 else None,
        )
    assert [e.error for e in RunDirectory(tmp_path / "r").episodes()] == [None] * 5
    assert "3 episodes in a row" in (tmp_path / "r" / "log.txt").read_text()


def test_a_provider_without_a_timeout_of_its_own_is_called_under_a_limit() -> None:
    class Silent(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            time.sleep(60)

        def log_message(self, format: str, *args: Any) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Silent)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    place = f"azure_endpoint=http://127.0.0.1:{server.server_port}&api_version=2024-10-21&api_key=a-key-of-this-test"
    model = load_model(f"azure_openai:m?{place}&max_retries=0&call_timeout=1")
    with pytest.raises(ModelError, match="did not answer within 1 s"):
        ask(model)
    server.shutdown()
