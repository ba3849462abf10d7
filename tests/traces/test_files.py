"""Files as they come: arrays, objects, texts, compressed, marked, mixed, hostile. A row goes in or is named with its reason."""

from __future__ import annotations

import codecs
import gzip
import json
import lzma

import pytest
from command_line import call as exprag

from exprag.bank import Bank
from exprag.cli.data import read_trajectories
from exprag.errors import BankError, ConfigError, RecordError
from exprag.trajectory import Step, Task, Trajectory

CHAT = {"conversations": [{"from": "human", "value": "Sing."}, {"from": "gpt", "value": "la"}]}
TOOLS = {"messages": [{"role": "user", "content": "Dance."}, {"role": "assistant", "content": "jump"}]}
PAIRS = {"id": "p", "steps": [["look", "A room."]], "obs0": "Your task is to: look."}
TRANSCRIPT = "A hall.\nYour task is to: walk.\n> walk\nYou walk.\n"
OWN = Trajectory(task=Task(environment="own", id="1"), steps=(Step(observation="A", action="b"),)).to_dict()
ROWS = [CHAT, TOOLS, PAIRS, TRANSCRIPT, OWN]
ACTIONS = {"la", "jump", "look", "walk", "b"}


@pytest.fixture
def bank(tmp_path):
    return Bank.create(tmp_path / "bank")


def lines(rows):
    return "\n".join(map(json.dumps, rows)).encode()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("lines.jsonl", lines(ROWS)),
        ("marked.jsonl", codecs.BOM_UTF8 + lines(ROWS)),
        ("array.json", codecs.BOM_UTF8 + json.dumps(ROWS, indent=1).encode()),
        ("lists.json", json.dumps({"about": {"n": 5}, "train": ROWS[:2], "test": ROWS[2:]}).encode()),
        ("texts.json", json.dumps({str(n): row for n, row in enumerate(ROWS)}, indent=2).encode()),
        ("lines.jsonl.xz", lzma.compress(lines(ROWS))),
        ("named-otherwise", gzip.compress(json.dumps(ROWS).encode())),
    ],
)
def test_mixed_rows_of_any_file_are_recognised_each(bank, tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    report = bank.import_file(tmp_path / name, environment="house")
    assert (report.added, report.quarantined, report.bad) == (5, 5, ())
    assert {run.actions[0] for run in bank} == ACTIONS
    assert sorted(run.task.environment for run in bank) == ["house"] * 4 + ["own"]
    origins = {run.provenance.extra["format"]: run.provenance.extra["row"] for run in bank if run.task.environment == "house"}
    assert origins == {"sharegpt": 1, "openai": 2, "pairs": 3, "react": 4}
    assert bank.import_file(tmp_path / name, environment="house").skipped_existing == 5


def test_one_row_alone_is_a_file(bank, tmp_path):
    (tmp_path / "walk.txt").write_text(TRANSCRIPT)
    (tmp_path / "chat.json").write_text(json.dumps(CHAT, indent=1))
    (tmp_path / "list.json").write_text(json.dumps(TOOLS["messages"]))
    (tmp_path / "own.json").write_text(json.dumps(OWN))
    (tmp_path / "lists.json").write_text(json.dumps({"a": CHAT["conversations"], "b": TOOLS["messages"]}))
    assert [bank.import_file(tmp_path / name).added for name in ("walk.txt", "chat.json", "list.json", "own.json")] == [1] * 4
    report = bank.import_file(tmp_path / "lists.json")
    assert (report.added, report.bad) == (2, ())
    assert {run.provenance.extra.get("key") for run in bank} == {None, "a", "b"}


def test_a_named_format_reads_only_its_own(bank, tmp_path):
    (tmp_path / "in.jsonl").write_bytes(lines(ROWS))
    report = bank.import_file(tmp_path / "in.jsonl", format="sharegpt")
    assert (report.added, [row.line for row in report.bad]) == (1, [2, 3, 4, 5])
    assert "'conversations'" in report.bad[0].reason
    with pytest.raises(ConfigError, match="sharegpt"):
        bank.import_file(tmp_path / "in.jsonl", format="sharegtp")
    with pytest.raises(ConfigError, match="name is empty"):
        bank.import_file(tmp_path / "in.jsonl", environment="")


HOSTILE = {
    '{"conversations": []}': "no turn",
    '{"conversations": 3}': "list of messages",
    '{"conversations": [{"from": "human"}]}': "message 1: it has no content",
    '{"conversations": [{"from": "human", "value": 3}]}': "message 1: expected text, not such a value",
    '{"conversations": [{"from": "martian", "value": "x"}]}': "message 1: no known role: 'martian'",
    '{"conversations": [{"from": "gpt", "role": "user", "value": "x"}]}': "both 'from' and 'role'",
    '{"conversations": [], "messages": []}': "both 'conversations' and 'messages'",
    '{"conversations": ["x"]}': "message 1: expected an object",
    '{"messages": [{"role": "tool", "tool_call_id": "c9", "content": "x"}]}': "message 1: a tool's result without a call (c9)",
    '{"messages": [{"role": "assistant", "tool_calls": [{}]}]}': "message 1: a tool call without the name",
    '{"messages": [{"role": "assistant", "tool_calls": "x"}]}': "message 1: tool_calls is not a list",
    '{"messages": [{"role": "user", "content": [{"type": "tool_result"}]}]}': "message 1: a part of its content",
    '{"messages": [{"role": "user", "content": "x"}]}': "no turn",
    '{"steps": []}': "no turn",
    '{"steps": [["a", 1]]}': "step 1: expected two texts",
    '{"steps": [{"action": "a"}, {"state": "s"}]}': "step 2: it has no action",
    '{"steps": [{"action": "a", "state": 1}]}': "step 1: its state is not text",
    '{"steps": [{"action": "a", "reward": "much"}]}': "reward",
    '"Thought: a"': "fits none of the formats",
    '"Question: a\\nAction: b\\nQuestion: c\\nAction: d"': "another task",
    '"Your task is to: a\\n> b\\nYour task is to: c\\n> d"': "2 tasks",
    "17": "fits none of the formats",
    '{"a": 1, "b": 2}': "its fields: a, b",
    '{"task": {"id": "x"}}': "Not a valid Trajectory",
    '{"messages": [': "not JSON",
    '{"messages": ' + "[" * 100_000 + "]" * 100_000 + "}": "not JSON",
    '{"messages": [{"role": "assistant", "tool_calls": [{"name": "f", "args": ' + "[" * 800 + "]" * 800 + "}]}]}": "",
    "\x00\xff": "not JSON",
}


def test_hostile_rows_are_named_with_their_reason_and_the_rest_goes_in(bank, tmp_path, monkeypatch):
    monkeypatch.setattr("exprag.traces.rows.LONGEST_LINE", 2**19)
    rows = list(HOSTILE)
    between = [json.dumps({**PAIRS, "id": str(number)}) for number in range(len(rows) + 1)]
    mixed = [text for pair in zip(between, [*rows, '"' + "x" * 2**20 + '"'], strict=True) for text in pair]
    (tmp_path / "in.jsonl").write_bytes("\n".join(mixed).encode("latin-1"))
    report = bank.import_file(tmp_path / "in.jsonl")
    reasons = {row.line: row.reason for row in report.bad}
    deep = next(number for number, row in enumerate(rows) if "[[[" in row and "args" in row)  # depends on the stack: in or named
    assert report.added == len(between) + (2 * deep + 2 not in reasons)
    for number, row in enumerate(rows):
        if number != deep:
            assert HOSTILE[row] in reasons[2 * number + 2], row[:80]
    assert "longer than" in reasons[2 * len(rows) + 2]


@pytest.mark.parametrize("content", [lzma.compress(lines(ROWS) * 99)[:-40], gzip.compress(lines(ROWS) * 99)[:-40], b"\x1f\x8bno"])
def test_a_torn_compressed_file_is_one_clear_message(bank, tmp_path, content):
    (tmp_path / "in.xz").write_bytes(content)
    with pytest.raises(ConfigError, match=r"in\.xz cannot be read"):
        bank.import_file(tmp_path / "in.xz")


def test_commands_read_them(tmp_path):
    (tmp_path / "in.json").write_text(json.dumps([CHAT, TOOLS, 7]))
    exprag("bank", "create", tmp_path / "bank")
    with pytest.raises(BankError, match="1 line"):
        exprag("bank", "import", tmp_path / "bank", tmp_path / "in.json", "--env", "house", "--trust")
    assert {run.task.environment for run in Bank.open(tmp_path / "bank")} == {"house"}
    with pytest.raises(BankError, match="3 line"):
        exprag("bank", "import", tmp_path / "bank", tmp_path / "in.json", "--format", "react")


def test_data_build_reads_them_and_names_every_row_that_does_not_fit(tmp_path):
    (tmp_path / "in.json").write_text(json.dumps([7, PAIRS, 8]))
    with pytest.raises(RecordError, match=r"(?s)in\.json, row 1: It fits none.*row 3: It fits none.*exprag bank import"):
        list(read_trajectories(str(tmp_path / "in.json")))
    (tmp_path / "in.json").write_text(json.dumps([{**PAIRS, "won": True}]))
    build = ("data", "build", tmp_path / "in.json", "--out", tmp_path / "rows.jsonl", "--k", "0", "--other-versions")
    with pytest.raises(ConfigError, match="--env NAME"):
        exprag(*build)
    exprag(*build, "--env", "alfworld")
    assert "look" in (tmp_path / "rows.jsonl").read_text()
    assert [run.task.key for run in read_trajectories(str(tmp_path / "in.json"), "pairs", "house")] == ["house:p"]
