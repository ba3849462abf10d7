"""Rollouts of verifiers, threads of LangGraph, formats of other distributions."""

from __future__ import annotations

import json
import sqlite3

import pytest
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer
from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.graph import START, MessagesState, StateGraph

from exprag import hookimpl, traces
from exprag.authoring import Place, RecordError, Step, Task, TraceFormat, Trajectory
from exprag.bank import Bank
from exprag.errors import ConfigError
from exprag.integrations.trace_files import export_traces
from exprag.plugins import Registry, registry
from exprag.traces import format_names, read_file, read_row, recognise
from exprag_traces.checkpoints import message_row


def trace(**changes):
    messages = [
        {"role": "system", "content": "Solve it."},
        {"role": "user", "content": "What is 2+2?"},
        {"role": "assistant", "content": "dead end"},
        {
            "role": "assistant",
            "content": None,
            "reasoning_content": "Add.",
            "tool_calls": [{"id": "c", "name": "add", "arguments": '{"a": 2}'}],
        },
        {"role": "tool", "tool_call_id": "c", "content": "4"},
        {"role": "assistant", "content": "4"},
    ]
    parents = [None, 0, 1, 1, 3, 4]
    nodes = [{"parent": parent, "message": message} for parent, message in zip(parents, messages, strict=True)]
    return {
        "version": 1,
        "id": "r1",
        "task": {"type": "Sum", "data": {"idx": 3, "prompt": "What is 2+2?"}, "key": "sum-3"},
        "agent": {"config": {"model": "m"}},
        "nodes": nodes,
        "calls": [{"node": 3, "model": "m-1"}],
        "rewards": {"correct": {"score": 1.0, "weight": 0.5}, "format": {"score": 1.0, "weight": 0.5}},
        "metrics": {"turns": 2.0},
    } | changes


def test_a_trace_of_verifiers_is_the_path_to_its_last_message(tmp_path):
    (tmp_path / "traces.jsonl").write_text(json.dumps({"id": "e", "traces": [trace(), trace(rewards={"correct": None})]}) + "\n")
    first, second = (result.trajectory for result in read_file(tmp_path / "traces.jsonl", environment="sums"))
    assert [(step.observation, step.action) for step in first.steps] == [("What is 2+2?", 'add({"a": 2})'), ("4", "4")]
    assert (first.steps[0].thought, first.steps[0].calls[0].result) == ("Add.", "4")
    assert (first.task.id, first.task.type, first.task.environment) == ("sum-3", "Sum", "sums")
    assert (first.success, first.score, first.provenance.model) == (True, 1.0, "m-1")
    assert first.provenance.extra["left_out"] == ["1 other branches of the conversation"]
    assert first.provenance.extra["fields"]["turns"] == 2.0
    assert (second.success, second.score, second.provenance.extra["key"]) == (None, None, "trace 2")


def test_older_rows_of_verifiers_are_read():
    row = {
        "prompt": [{"role": "user", "content": "Q"}],
        "completion": [{"role": "assistant", "content": "A"}],
        "reward": 0.0,
        "example_id": 4,
    }
    assert recognise(row) == "verifiers"
    run = read_row(row)
    assert (run.steps[0].observation, run.actions, run.score, run.success) == ("Q", ["A"], 0.0, False)


def test_a_graph_of_messages_that_points_ahead_is_refused():
    broken = trace()
    broken["nodes"][5]["parent"] = 5
    with pytest.raises(RecordError, match="parent comes after"):
        read_row(broken)


def test_threads_of_langgraph_are_read_from_their_file(tmp_path):
    def answer(state):
        return {
            "messages": [
                AIMessage("Looking.", tool_calls=[{"name": "look", "args": {"at": "mug"}, "id": "c"}]),
                ToolMessage("A mug.", tool_call_id="c"),
                AIMessage("It is a mug."),
            ]
        }

    graph = StateGraph(MessagesState)
    graph.add_node("answer", answer)
    graph.add_edge(START, "answer")
    with SqliteSaver.from_conn_string(str(tmp_path / "threads.sqlite")) as saver:
        agent = graph.compile(checkpointer=saver)
        for thread in ("a", "b"):
            agent.invoke({"messages": [HumanMessage(f"What is {thread}?")]}, {"configurable": {"thread_id": thread}})
    bank = Bank.create(tmp_path / "bank")
    report = bank.import_file(tmp_path / "threads.sqlite")
    assert (report.added, report.quarantined, report.bad) == (2, 2, ())
    run = next(run for run in bank if run.task.id == "a")
    assert run.actions == ['look({"at": "mug"})', "It is a mug."]
    assert (run.steps[0].message, run.steps[0].calls[0].result, run.task.instruction) == ("Looking.", "A mug.", "What is a?")
    assert run.provenance.extra["format"] == "langgraph"


def test_a_call_whose_arguments_are_not_json_stays_as_the_model_wrote_it():
    broken = {"name": "look", "args": '{"at": ', "id": "c", "error": "no JSON", "type": "invalid_tool_call"}
    message = AIMessage("Looking.", invalid_tool_calls=[broken, {**broken, "name": None}])
    (step,) = read_row({"thread": "t", "channels": [], "messages": [message_row(message)]}, "langgraph").steps
    assert (step.action, step.calls[0].arguments, step.message) == ('look({"at": )', '{"at": ', "Looking.")


def test_a_damaged_checkpoint_is_one_bad_row_and_another_database_is_named(tmp_path):
    with SqliteSaver.from_conn_string(str(tmp_path / "threads.sqlite")) as saver:
        saver.setup()
    with sqlite3.connect(tmp_path / "threads.sqlite") as file:
        file.execute(
            "INSERT INTO checkpoints (thread_id, checkpoint_ns, checkpoint_id, type, checkpoint) "
            "VALUES ('t', '', '1', 'msgpack', x'c1')"
        )
    (result,) = read_file(tmp_path / "threads.sqlite")
    assert "cannot be read" in result.fault
    with sqlite3.connect(tmp_path / "other.sqlite") as other:
        other.execute("CREATE TABLE things (x)")
    with pytest.raises(ConfigError, match="holds no checkpoints"):
        list(read_file(tmp_path / "other.sqlite"))


def test_a_damaged_page_in_the_middle_and_a_state_that_is_none_are_told(tmp_path):
    place = tmp_path / "threads.sqlite"
    kind, blob = JsonPlusSerializer().dumps_typed({"channel_values": 5})
    with SqliteSaver.from_conn_string(str(place)) as saver:
        saver.setup()
    with sqlite3.connect(place) as file:
        file.execute("PRAGMA journal_mode=DELETE")
        rows = [(f"t{number:03}", "", "1", kind, blob + b" " * 3000) for number in range(60)]
        rows[0] = (*rows[0][:4], blob)
        columns = "thread_id, checkpoint_ns, checkpoint_id, type, checkpoint"
        file.executemany(f"INSERT INTO checkpoints ({columns}) VALUES (?, ?, ?, ?, ?)", rows)
    assert "cannot be read" in next(read_file(place)).fault
    content = bytearray(place.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 8192] = b"\xff" * 8192
    place.write_bytes(content)
    with pytest.raises(ConfigError, match=r"threads\.sqlite is damaged"):
        list(read_file(place))


def test_an_episode_of_verifiers_without_traces_is_a_bad_row(tmp_path):
    (tmp_path / "traces.jsonl").write_text('{"traces": []}\n' + json.dumps(trace()) + "\n")
    empty, whole = read_file(tmp_path / "traces.jsonl", "verifiers")
    assert "neither 'nodes'" in empty.fault
    assert whole.trajectory is not None


class Lines(TraceFormat):
    """Somebody's own format: `{"log": "observation > action"}`."""

    def recognise(self, row):
        return isinstance(row, dict) and row["log"] != ""  # raises for rows without it: it must stop no other format

    def read(self, row, place: Place):
        observation, _, action = row["log"].partition(" > ")
        if action == "crash":
            raise KeyError("crash")
        return Trajectory(
            task=Task(environment=place.environment, id=str(place.row)), steps=(Step(observation=observation, action=action),)
        )


    def write(self, trajectory):
        return {"log": {trajectory.id}}  # a set is not JSON


class Plugin:
    @hookimpl
    def register_trace_formats(self, register):
        register("lines", Lines)
        register("openai", Lines)
        register("missing", Lines, requires=("no_such_module_here",))


@pytest.fixture
def with_plugin(monkeypatch):
    own = Registry()
    own.components = list(registry().components)
    own.add(Plugin(), "exprag-lines")
    monkeypatch.setattr(traces, "registry", lambda: own)


def test_a_format_of_another_distribution_is_recognised_and_named(with_plugin, tmp_path):
    assert format_names()[-2:] == ["lines", "exprag-lines/openai"]
    rows = [
        {"log": "A room. > look"},
        {"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]},
        {"log": "x > crash"},
        {"x": 1},
    ]
    (tmp_path / "mixed.jsonl").write_text("\n".join(map(json.dumps, rows)))
    first, second, third, last = read_file(tmp_path / "mixed.jsonl", environment="e")
    assert first.trajectory.actions == ["look"]
    assert second.trajectory.actions == ["b"]
    assert "The trace format lines could not read it: KeyError" in third.fault
    assert "fits none of the formats" in last.fault
    (named,) = list(read_file(tmp_path / "mixed.jsonl", "lines"))[:1]
    assert named.trajectory is not None


def test_a_format_that_writes_what_is_not_json_is_named(with_plugin, tmp_path):
    bank = Bank.create(tmp_path / "bank")
    bank.add([Trajectory(task=Task(environment="e", id="1"), success=True)])
    for name in ("out.jsonl", "out"):
        with pytest.raises(ConfigError, match=r"trace format lines could not write trajectory .* TypeError"):
            export_traces(bank, tmp_path / name, "lines")
    assert [place.name for place in tmp_path.iterdir()] == ["bank"]


def test_a_format_that_misses_something_says_what(with_plugin, tmp_path):
    (tmp_path / "a.jsonl").write_text("{}")
    from exprag.errors import PluginError

    with pytest.raises((PluginError, ConfigError), match=r"no_such_module_here|no format"):
        list(read_file(tmp_path / "a.jsonl", "missing"))
