"""Import of files as they come: every record either goes in or is named with the reason."""

from __future__ import annotations

import codecs
import json

import pytest

from exprag.bank import Bank
from exprag.errors import ConfigError, RecordError
from exprag.trajectory import Trajectory


def deep(trajectory: Trajectory, depth: int) -> str:
    """The trajectory's line, with lists within lists in its metadata."""
    line = trajectory.to_json()
    assert '"metadata":{}' in line
    return line.replace('"metadata":{}', '"metadata":{"a":' + "[" * depth + "]" * depth + "}", 1)


@pytest.mark.parametrize("depth", [300, 500, 700, 999, 5_000, 200_000])
def test_a_deep_line_is_named_and_the_rest_goes_in(bank, episode, tmp_path, depth):
    lines = [episode(1).to_json(), deep(episode(2), depth), episode(3).to_json()]
    (tmp_path / "in.jsonl").write_text("\n".join(lines))
    report = bank.import_jsonl(tmp_path / "in.jsonl")
    assert (report.added, [row.line for row in report.bad]) == (2, [2])
    assert report.bad[0].reason
    assert {t.task.id for t in bank} == {"task-1", "task-3"}
    (tmp_path / "in.json").write_text("[" + ", ".join([lines[0], deep(episode(4), 300), lines[2]]) + "]")
    again = bank.import_jsonl(tmp_path / "in.json")
    assert (again.skipped_existing, [row.line for row in again.bad]) == (2, [2])


def test_a_record_of_any_depth_is_refused_as_a_record(episode):
    for depth in (500, 900):
        data = json.loads(episode(1).to_json())
        value: list[object] = []
        for _ in range(depth):
            value = [value]
        data["task"]["metadata"] = {"a": value}
        with pytest.raises(RecordError):
            Trajectory.from_dict(data)


def test_a_byte_order_mark_costs_nothing(bank, episode, tmp_path):
    lines = "\n".join(episode(n, "wash a 杯").to_json() for n in range(3))
    (tmp_path / "in.jsonl").write_bytes(codecs.BOM_UTF8 + lines.encode())
    report = bank.import_jsonl(tmp_path / "in.jsonl")
    assert (report.added, report.bad) == (3, ())
    (tmp_path / "in.json").write_bytes(codecs.BOM_UTF8 + b" [" + lines.replace("\n", ",").encode() + b"]\n")
    assert bank.import_jsonl(tmp_path / "in.json").skipped_existing == 3


def test_a_json_array_is_read_and_its_bad_elements_are_named(bank, episode, tmp_path):
    elements = [episode(1).to_dict(), {"task": 3}, 7, episode(2).to_dict()]
    (tmp_path / "in.json").write_text(json.dumps(elements, indent=2))
    report = bank.import_jsonl(tmp_path / "in.json")
    assert (report.added, [row.line for row in report.bad]) == (2, [2, 3])
    (tmp_path / "empty.json").write_text("[]")
    assert bank.import_jsonl(tmp_path / "empty.json").added == 0


def test_lines_of_which_the_first_is_a_list_are_lines(bank, episode, tmp_path):
    (tmp_path / "in.jsonl").write_text("[1, 2]\n" + episode(1).to_json() + "\n")
    report = bank.import_jsonl(tmp_path / "in.jsonl")
    assert (report.added, [row.line for row in report.bad]) == (1, [1])


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_text_of_another_encoding_is_one_clear_message(bank, episode, tmp_path, encoding):
    (tmp_path / "in.jsonl").write_bytes(episode(1).to_json().encode(encoding))
    with pytest.raises(ConfigError, match=r"is UTF-(16|32) text, not UTF-8.*iconv"):
        bank.import_jsonl(tmp_path / "in.jsonl")
    assert len(bank) == 0


def test_a_line_beyond_all_bounds_is_named_and_the_rest_goes_in(bank, episode, tmp_path, monkeypatch):
    monkeypatch.setattr("exprag.traces.rows.LONGEST_LINE", 5_000)
    long, longer = (episode(n, "x" * size).to_json() for n, size in ((1, 4_999), (2, 50_000)))
    lines = [long, episode(3).to_json(), longer, episode(4).to_json(), longer]
    (tmp_path / "in.jsonl").write_text("\n".join(lines))
    report = bank.import_jsonl(tmp_path / "in.jsonl")
    assert (report.added, [row.line for row in report.bad]) == (2, [1, 3, 5])
    assert "longer than" in report.bad[0].reason


def test_bytes_that_are_not_utf8_are_stored_as_they_are(tmp_path, episode):
    line = episode(1, "ab-cd").to_json().encode().replace(b"ab-cd", b"ab\xff\xfecd")
    (tmp_path / "in.jsonl").write_bytes(line + b"\n")
    bank = Bank.create(tmp_path / "bank")
    assert bank.import_jsonl(tmp_path / "in.jsonl").added == 1
    assert next(iter(bank)).task.instruction == "ab\udcff\udcfecd"
