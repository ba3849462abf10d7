"""What `langgraph dev` serves: the real server, started from a clean folder, offline and without a key, spoken to by its SDK."""

from __future__ import annotations

import importlib.util
import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
GRAPHS = sorted(json.loads((ROOT / "langgraph.json").read_text())["graphs"])
EASY = "test/look_at_obj_in_light/0000"  # the baseline wins it in five actions
SECONDS = 180


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    if importlib.util.find_spec("langgraph_api") is None or importlib.util.find_spec("langgraph_cli") is None:
        pytest.skip("no development server: pip install 'exprag[studio]'")
    folder = tmp_path_factory.mktemp("studio")
    config = json.loads((ROOT / "langgraph.json").read_text())
    config["dependencies"] = [str(ROOT)]
    config["graphs"] = {name: str(ROOT / path) for name, path in config["graphs"].items()}
    (folder / "langgraph.json").write_text(json.dumps(config))  # the server leaves its files beside it
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    env = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("LANGSMITH", "LANGCHAIN", "EXPRAG"))},
        "LANGSMITH_TRACING": "false",
        "LANGGRAPH_CLI_NO_ANALYTICS": "1",
        "XDG_CACHE_HOME": str(folder / "cache"),
        "http_proxy": "http://127.0.0.1:9",  # nothing outside can be reached
        "https_proxy": "http://127.0.0.1:9",
        "no_proxy": "127.0.0.1,localhost",
    }
    command = [sys.executable, "-m", "langgraph_cli", "dev", "--no-browser", "--no-reload", "--port", str(port)]
    with open(folder / "log.txt", "w") as log:
        process = subprocess.Popen(command, cwd=folder, env=env, stdout=log, stderr=subprocess.STDOUT)
    url = f"http://127.0.0.1:{port}"
    try:
        _wait(url, process, folder / "log.txt")
        yield url
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()


def _wait(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    for _ in range(SECONDS * 4):
        if process.poll() is not None:
            break
        try:
            with urllib.request.urlopen(f"{url}/ok", timeout=5):
                return
        except OSError:
            time.sleep(0.25)
    raise AssertionError(f"the server did not start:\n{log.read_text()[-3000:]}")


@pytest.fixture
def client(server: str) -> Any:
    from langgraph_sdk import get_sync_client

    return get_sync_client(url=server, api_key=None)


def steps(state: dict[str, Any]) -> list[dict[str, Any]]:
    return state["values"]["trajectory"]["steps"]


@pytest.mark.parametrize("graph", GRAPHS)
def test_every_graph_plays_an_episode_over_http(client: Any, graph: str) -> None:
    """Streamed steps, the final state, and a history of them; with a context that asks nobody."""
    thread = client.threads.create()["thread_id"]
    context = {"max_steps": 4, "run": "a run"}
    nodes = []
    for event in client.runs.stream(thread, graph, input={"task": EASY, "seed": 1}, context=context, stream_mode="updates"):
        assert event.event != "error", event.data
        if event.event == "updates":
            nodes += list(event.data)
    assert len(nodes) > 4
    state = client.threads.get_state(thread)
    assert (state["values"]["ended"], len(steps(state)), state["next"]) == ("truncated", 4, [])
    if graph != "hints":
        assert steps(state)[0]["recalled"]
    history = client.threads.get_history(thread, limit=100)
    counts = [len(past["values"].get("steps", ())) for past in history]
    assert counts == sorted(counts, reverse=True)
    assert set(counts) >= ({0, 4} if graph == "hierarchical" else set(range(5)))
    fields = client.assistants.get_schemas(client.assistants.search(graph_id=graph)[0]["assistant_id"])
    assert fields["context_schema"]["properties"]["max_steps"]["description"]
    assert "task" in fields["input_schema"]["properties"]


def test_an_interrupt_is_answered(client: Any) -> None:
    thread = client.threads.create()["thread_id"]

    def go(**how: Any) -> Any:
        client.runs.wait(thread, "human_in_the_loop", context={"max_steps": 3}, **how)
        return client.threads.get_state(thread)

    state = go(input={"task": EASY, "seed": 1})
    asked = state["tasks"][0]["interrupts"][0]["value"]
    assert asked["action"] == state["values"]["action"]["action"]
    first = asked["action"]
    state = go(command={"resume": {"type": "accept"}})
    assert [step["action"] for step in state["values"]["steps"]] == [first]
    state = go(command={"resume": {"type": "perhaps"}})
    assert "not an answer" in state["tasks"][0]["interrupts"][0]["value"]["problem"]
    state = go(command={"resume": {"type": "edit", "action": "inventory"}})
    assert state["values"]["steps"][1]["action"] == "inventory"
    assert "a person" in state["values"]["steps"][1]["note"]
    state = go(command={"resume": {"type": "skip"}})
    assert len(state["values"]["steps"]) == 2
    assert "does not want" in state["values"]["hints"][0]
    state = go(command={"resume": {"type": "accept"}})
    assert (state["values"]["ended"], len(steps(state))) == ("truncated", 3)


def test_a_fork_from_an_earlier_step_with_a_changed_action_changes_the_outcome(client: Any) -> None:
    thread = client.threads.create()["thread_id"]
    client.runs.wait(thread, "static_exprag", input={"task": EASY, "seed": 1})
    before = client.threads.get_state(thread)
    assert before["values"]["trajectory"]["success"]
    played = [step["action"] for step in steps(before)]
    past = [s for s in client.threads.get_history(thread, limit=100) if s["next"] == ["observe"] and s["values"].get("action")]
    second = next(state for state in past if len(state["values"]["steps"]) == 2)
    fork = client.threads.update_state(
        thread, {"action": "look"}, checkpoint_id=second["checkpoint"]["checkpoint_id"], as_node="act"
    )
    client.runs.wait(
        thread, "static_exprag", checkpoint_id=fork["checkpoint"]["checkpoint_id"], input=None, context={"max_steps": len(played)}
    )
    after = client.threads.get_state(thread)
    assert [step["action"] for step in steps(after)][:3] == [*played[:2], "look"]
    assert (after["values"]["success"], after["values"]["ended"]) == (False, "truncated")


def test_what_is_wrong_is_told_and_the_thread_stays_readable(client: Any) -> None:
    thread = client.threads.create()["thread_id"]
    failed = client.runs.wait(thread, "static_exprag", input={"task": "test/nothing/0000"}, raise_error=False)
    assert failed["__error__"]["error"] == "EnvError"
    state = client.threads.get_state(thread)  # the server's answer hides messages, the thread keeps them
    assert "has no task" in state["tasks"][0]["error"]
    assert "Ids read like" in state["tasks"][0]["error"]
    assert state["values"]["task"] == "test/nothing/0000"
