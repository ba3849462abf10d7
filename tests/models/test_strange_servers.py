"""Servers that answer strangely, as real ones on loopback: each answer is a note with its cause, or a clear error."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage

from exprag.contracts.style import load_style
from exprag.errors import ModelError
from exprag.graph.asking import Reply, ask
from exprag.models import load_model
from exprag.models.answers import LIMIT, read_answer

pytest.importorskip("langchain_openai")

TEMPLATES = ("go to {place}", "look")
PROMPT = [SystemMessage("You act."), HumanMessage("a crate 1")]
GOOD = [{"content": "the earlier call", "role": "user"}]
EARLIER: list[Any] = []
Serve = Callable[[Any], str]


@pytest.fixture(params=["first call", "later call"])
def serve(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Serve]:
    """Starts a server whose every answer is what it is handed: a body, or a function that writes the response itself. For a later
    call, which is made without openai's client, the model has had a good answer before: `answered` asks for it."""
    monkeypatch.setenv("OPENAI_API_KEY", "key-of-this-test")
    monkeypatch.setattr(f"{__name__}.EARLIER", [GOOD] if request.param == "later call" else [])
    servers: list[ThreadingHTTPServer] = []

    def start(answer: Any) -> str:
        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                if request["messages"] == GOOD:
                    reply(self, 200, completion("look"))
                elif callable(answer):
                    answer(self, request)
                else:
                    reply(self, 200, answer)

            def log_message(self, format: str, *args: Any) -> None: ...

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_port}/v1"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def reply(handler: BaseHTTPRequestHandler, status: int, body: Any) -> None:
    payload = body if isinstance(body, bytes) else json.dumps(body).encode()
    handler.send_response(status)
    handler.send_header("Content-Type", "application/json")
    handler.send_header("Content-Length", str(len(payload)))
    handler.end_headers()
    handler.wfile.write(payload)


def completion(content: Any, finish: str = "stop", usage: Any = None, **message: Any) -> dict[str, Any]:
    choice = {"index": 0, "message": {"role": "assistant", "content": content, **message}, "finish_reason": finish}
    usage = {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10} if usage is None else usage
    return {"id": "1", "object": "chat.completion", "created": 0, "model": "m", "choices": [choice], "usage": usage}


def answered(url: str, style: str = "act", options: str = "") -> Reply:
    model = load_model(f"openai:m?base_url={url}&max_retries=0{options}")
    for messages in EARLIER:
        model.invoke(messages)
        assert model.http_client.direct.ready  # type: ignore[attr-defined]
    return ask(model, load_style(style), PROMPT, TEMPLATES)


BROKEN_CALL = {"id": "1", "type": "function", "function": {"name": "act", "arguments": '{"action": "lo'}}
CALL = {"id": "1", "type": "function", "function": {"name": "act", "arguments": '{"action": "look"}'}}


@pytest.mark.parametrize("style", ["act", "react"])
@pytest.mark.parametrize(
    ("body", "action", "thought", "note"),
    [
        (completion("go to dr", "length"), "", None, "token limit"),
        (completion("look\ngo to dr", "length"), "look", None, "token limit"),
        (completion(None, reasoning_content="It is near."), "", "It is near.", "reasoning and no answer"),
        (completion(None, "length", reasoning="It is ne"), "", "It is ne", "token limit"),
        (completion(None, "content_filter"), "", None, "content filter"),
        (completion(None, refusal="I can't help."), "", None, "refused: I can't help."),
        (completion(None, "tool_calls", tool_calls=[CALL]), "", None, 'instead of writing its turn: act({"action": "look"})'),
        (completion(None, "tool_calls", tool_calls=[BROKEN_CALL]), "", None, 'cannot be read: act({"action": "lo)'),
        (completion(""), "", None, "empty"),
        (completion("look", usage={"prompt_tokens": -5, "completion_tokens": 1}), "look", None, "usage"),
        (completion("look", usage={"prompt_tokens": "many", "completion_tokens": 1}), "look", None, "usage"),
        (completion("look", usage="a lot"), "look", None, "usage"),
        (completion("lo\x00ok\x1b[31m\x1b[0m"), "look", None, "control characters"),
        (completion("look<|im_end|>"), "look", None, "end-of-turn"),
    ],
)
def test_a_strange_answer_is_a_note_with_its_cause(
    serve: Serve, style: str, body: Any, action: str, thought: str | None, note: str
) -> None:
    answer = answered(serve(body), style)
    assert (answer.turn.action, answer.turn.thought) == (action, thought)
    assert note in str(answer.turn.note)
    if note == "usage":
        assert answer.usage is None


def test_reasoning_beside_an_answer_is_the_thought_and_needs_no_note(serve: Serve) -> None:
    answer = answered(serve(completion("look", reasoning_content="It is near.")))
    assert (answer.turn.action, answer.turn.thought, answer.turn.note) == ("look", "It is near.", None)


def test_a_labelled_line_that_was_cut_is_noted(serve: Serve) -> None:
    answer = answered(serve(completion("Thought: near\nAction: look", "length")), "react")
    assert answer.turn.action == "look"
    assert "token limit" in str(answer.turn.note)


def test_a_broken_call_is_kept_as_it_was_written(serve: Serve) -> None:
    assert answered(serve(completion(None, tool_calls=[BROKEN_CALL]))).text == 'act({"action": "lo)'


@pytest.mark.parametrize("style", ["act", "react"])
@pytest.mark.parametrize("megabytes", [5, 50])
def test_an_endless_line_is_no_action(serve: Serve, style: str, megabytes: int) -> None:
    body = json.dumps(completion("Action: " + "go " * (megabytes * 2**20 // 3))).encode()
    answer = answered(serve(body), style)
    assert not answer.turn.action
    assert "was cut to" in str(answer.turn.note)
    assert len(answer.text) <= LIMIT


def test_an_action_before_endless_text_is_played(serve: Serve) -> None:
    answer = answered(serve(completion("look\n" + "x" * (2 * LIMIT))))
    assert answer.turn.action == "look"
    assert "was cut to" in str(answer.turn.note)


def drip(handler: BaseHTTPRequestHandler, request: Any) -> None:
    """A byte of the body now and then, for ever."""
    handler.send_response(200)
    handler.send_header("Content-Type", "application/json")
    handler.end_headers()
    _for_ever(handler, b" ")


def drip_header(handler: BaseHTTPRequestHandler, request: Any) -> None:
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nX-Slow: ")
    _for_ever(handler, b"x")


def flood(handler: BaseHTTPRequestHandler, request: Any) -> None:
    handler.send_response(200)
    handler.send_header("Content-Type", "application/json")
    handler.end_headers()
    _for_ever(handler, b" " * 2**20, pause=0)


def _for_ever(handler: BaseHTTPRequestHandler, part: bytes, pause: float = 0.05) -> None:
    try:
        while True:
            handler.wfile.write(part)
            handler.wfile.flush()
            time.sleep(pause)
    except OSError:  # the client has gone
        handler.close_connection = True


@pytest.mark.parametrize("answer", [drip, drip_header])
def test_a_server_that_sends_for_ever_is_given_up(serve: Serve, answer: Any) -> None:
    with pytest.raises(ModelError, match=r"after 0\.5 s|within 2 s"):
        answered(serve(answer), options="&timeout=0.5")


def test_coroutines_give_it_up_too(serve: Serve) -> None:
    model = load_model(f"openai:m?base_url={serve(drip)}&max_retries=0&timeout=0.5")
    with pytest.raises(ModelError, match=r"after 0\.5 s"):
        asyncio.run(model.ainvoke(PROMPT))


def test_an_answer_without_end_is_given_up(serve: Serve) -> None:
    with pytest.raises(ModelError, match="longer than 64 MB"):
        answered(serve(flood))


@pytest.mark.parametrize(
    ("status", "body", "reason"),
    [
        (400, {"error": {"message": "Unsupported value: 'temperature' does not support 0.0"}}, "?temperature=none"),
        (400, {"error": {"message": "Unrecognized request argument supplied: seed"}}, "?seed=none"),
        (500, b"<html>the disk is full</html>", "the disk is full"),
        (200, b"<html>not JSON</html>", "not JSON"),
        (200, {"choices": None}, "null value for 'choices'"),
        (200, completion(None) | {"choices": []}, "holds no answer"),
        (200, completion(None) | {"choices": [{"index": 0, "message": None, "finish_reason": "stop"}]}, "holds no answer"),
    ],
)
def test_the_servers_own_reason_is_in_the_error(serve: Serve, status: int, body: Any, reason: str) -> None:
    url = serve(lambda handler, request: reply(handler, status, body))
    with pytest.raises(ModelError) as caught:
        answered(url)
    assert reason in str(caught.value)
    assert len(str(caught.value)) < 600


def test_a_key_that_a_server_echoes_is_hidden(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    def echo(handler: BaseHTTPRequestHandler, request: Any) -> None:
        reply(handler, 401, {"error": {"message": f"Incorrect API key provided: {handler.headers['Authorization'][7:]}"}})

    monkeypatch.setenv("OPENAI_API_KEY", "a key with words")
    with pytest.raises(ModelError, match="Incorrect API key") as caught:
        answered(serve(echo))
    assert "a key with words" not in str(caught.value)


def test_parameters_can_be_left_out_and_added(serve: Serve) -> None:
    requests: list[dict[str, Any]] = []

    def keep(handler: BaseHTTPRequestHandler, request: Any) -> None:
        requests.append(request)
        reply(handler, 200, completion("look"))

    url = serve(keep)
    answered(url)
    answered(url, options="&temperature=none&seed=none")
    answered(url, options='&chat_template_kwargs={"enable_thinking": false}&extra_body={"top_k": 5}')
    assert {"temperature", "seed"} <= requests[0].keys()
    assert not {"temperature", "seed", "chat_template_kwargs"} & requests[1].keys()
    assert (requests[2]["chat_template_kwargs"], requests[2]["top_k"]) == ({"enable_thinking": False}, 5)


def test_a_lone_surrogate_does_not_end_the_episode_at_the_next_call(serve: Serve) -> None:
    body = json.dumps(completion("go to \ud800")).encode()
    first = answered(serve(body))
    assert first.turn.action.startswith("go to ")
    model = load_model(f"openai:m?base_url={serve(completion('look'))}")
    again = ask(model, load_style("act"), [*PROMPT, AIMessage("go to \ud800"), HumanMessage("\udc00 there")], TEMPLATES)
    assert again.turn.action == "look"


@pytest.mark.parametrize(
    ("message", "reasoning", "note"),
    [
        (AIMessage([{"type": "thinking", "thinking": "hm"}, {"type": "text", "text": "look"}]), "hm", None),
        (AIMessage([{"type": "reasoning", "summary": [{"text": "hm"}]}]), "hm", "reasoning and no answer"),
        (AIMessage("", additional_kwargs={"reasoning": {"summary": [{"text": "hm"}]}}), "hm", "reasoning and no answer"),
        (AIMessage("lo", response_metadata={"stop_reason": "max_tokens"}), "", "token limit (max_tokens)"),
        (AIMessage("lo", response_metadata={"finish_reason": "FinishReason.MAX_TOKENS"}), "", "token limit"),
        (AIMessage("lo", response_metadata={"done_reason": "length"}), "", "token limit"),
        (AIMessage("", response_metadata={"finish_reason": "SAFETY"}), "", "content filter (safety)"),
        (AIMessage("", response_metadata={"stop_reason": "refusal"}), "", "refused"),
        (AIMessage("", response_metadata={"incomplete_details": {"reason": "max_output_tokens"}}), "", "token limit"),
        (AIMessage([{"type": "refusal", "refusal": "No."}]), "", "refused: No."),
        (AIMessage("look", response_metadata={"stop_reason": "end_turn"}), "", None),
    ],
)
def test_each_provider_says_it_in_its_own_field(message: AIMessage, reasoning: str, note: str | None) -> None:
    answer = read_answer(message)
    assert answer.reasoning == reasoning
    assert answer.notes == () if note is None else note in "; ".join(answer.notes)
