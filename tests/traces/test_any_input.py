"""No input makes a reader raise anything but RecordError, and no file anything but ConfigError."""

from __future__ import annotations

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from exprag.bank import Bank
from exprag.errors import ConfigError, RecordError
from exprag.traces import AUTO, Place, format_names, read_file, read_row
from exprag.traces.calls import calls_of
from exprag.trajectory import Step, Trajectory

MESSAGE_WORDS = ("from", "role", "value", "content", "loss", "tool_calls", "tool_call_id", "function", "name", "arguments")
OUTER_WORDS = ("conversations", "messages", "steps", "state_action_pairs", "transcript", "task", "schema_version", "obs0", "text")
STEP_WORDS = ("state", "observation", "thought", "reward")
FIELD_WORDS = ("score", "success", "id", "source", "split", "model", "type", "obs0", "instruction")
WORDS = ["args", *MESSAGE_WORDS, *OUTER_WORDS, *STEP_WORDS, *FIELD_WORDS, "action", "function_call", "image_url", "url"]
TEXTS = [
    *("human", "gpt", "user", "assistant", "tool", "system", "OK", "reset", "think[a]", "> go\nA room.", "> think: a\nOK.\n> b"),
    *("Thought: a\nAction: b\nObservation: c", "Your task is to: x", "</think>", "<think>", "{}", "[1", "\ud800", "", "Action:"),
]
TEXT = st.sampled_from(TEXTS) | st.text(max_size=20)
LEAF = st.none() | st.booleans() | st.integers() | st.just(10**400) | st.floats() | TEXT
DATA = st.recursive(
    LEAF, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(WORDS), inner, max_size=5), max_leaves=25
)
MESSAGE = st.fixed_dictionaries({}, optional=dict.fromkeys(MESSAGE_WORDS, DATA)) | st.fixed_dictionaries(
    {"role": TEXT, "content": DATA}
)
STEP = st.fixed_dictionaries({"action": TEXT}, optional=dict.fromkeys(STEP_WORDS, DATA))
FIELDS = dict.fromkeys(FIELD_WORDS, DATA)
ROW = (
    DATA
    | st.fixed_dictionaries({"conversations": st.lists(MESSAGE, max_size=4)}, optional=FIELDS)
    | st.fixed_dictionaries({"messages": st.lists(MESSAGE, max_size=4)}, optional=FIELDS)
    | st.fixed_dictionaries({"steps": st.lists(STEP | st.lists(TEXT, min_size=2, max_size=2), max_size=4)}, optional=FIELDS)
    | st.fixed_dictionaries({"text": st.lists(TEXT).map("\n".join)}, optional=FIELDS)
)


@pytest.mark.parametrize("format", [AUTO, *format_names()])
@given(row=ROW)
@settings(max_examples=150, deadline=None)
def test_a_row_is_a_trajectory_or_a_record_error(format, row):
    try:
        run = read_row(row, format, Place("f", 1, "", "e"))
    except RecordError:
        return
    assert Trajectory.from_json(run.to_json()) == run


@given(content=st.binary(max_size=200) | st.lists(TEXT).map(lambda texts: "\n".join(texts).encode("utf-8", "surrogatepass")))
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_file_is_rows_or_a_config_error(tmp_path, content):
    (tmp_path / "in").write_bytes(content)
    try:
        results = list(read_file(tmp_path / "in"))
    except ConfigError:
        return
    assert all((result.trajectory is None) != (result.fault == "") for result in results)


NAN = float("nan")
TURNS = [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "go"}]
CALL = {"function": {"name": "look", "arguments": '{"at": NaN}'}}


@pytest.mark.parametrize(
    "row",
    [
        {"messages": TURNS, "x": NAN, "score": NAN, "tools": [{"cost": float("inf")}]},
        {"messages": [TURNS[0], {"role": "assistant", "content": "", "tool_calls": [CALL]}]},
        {"steps": [{"observation": "a", "action": "b", "reward": NAN}]},
        {"schema_version": "ATIF-v1.8", "steps": [{"source": "agent", "message": "y", "metrics": {"speed": NAN}}]},
    ],
)
def test_numbers_that_json_does_not_have_lose_no_row_of_a_file(tmp_path, row):
    """Python's own writers put NaN where a number is missing: one such row stopped the whole import."""
    (tmp_path / "in.jsonl").write_text(f"{json.dumps(row)}\n{json.dumps({'id': 'other', 'messages': TURNS})}\n")
    report = Bank.create(tmp_path / "bank").import_file(tmp_path / "in.jsonl")
    assert (report.added, report.bad) == (2, ())


def test_arguments_that_are_not_json_stay_as_they_were_written():
    run = read_row({"messages": [TURNS[0], {"role": "assistant", "content": "", "tool_calls": [CALL]}]})
    assert run.steps[0].calls[0].arguments == '{"at": NaN}'
    assert calls_of(Step(observation="", action='look({"at": NaN})')) == ()
