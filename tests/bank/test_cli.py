"""`exprag bank …` from the outside."""

from __future__ import annotations

import json

import pytest
from command_line import call

from exprag.bank import Bank
from exprag.errors import BankError, ConfigError
from exprag.files import write_jsonl
from exprag.trajectory import Trajectory


def run(*arguments: object) -> str:
    result = call("bank", *arguments)
    assert result.exit_code == 0, result.output
    return result.output


@pytest.fixture
def place(tmp_path, episode):
    episodes = [episode(1, "put a clean mug on the desk"), episode(2, "cool some lettuce", type="cool", success=False)]
    (tmp_path / "run").mkdir()
    write_jsonl(tmp_path / "run" / "episodes.jsonl", episodes)
    write_jsonl(tmp_path / "one.jsonl", episodes[:1])
    return tmp_path


def test_from_a_run_to_an_answer(place, episode):
    bank = place / "bank"
    assert "2 added" in run("add", bank, place / "run", place / "one.jsonl", place / "one.jsonl")
    about = json.loads(run("info", bank, "--json"))
    assert (about["rows"], about["types"]) == (2, {"put": 1, "cool": 1})
    assert "strategies" in run("info", bank)
    rows = json.loads(run("search", bank, "lettuce", "-k", 1, "--json"))
    assert [(r["type"], r["outcome"], r["reason"]) for r in rows] == [("cool", "failure", "BM25 of keys task")]
    output = run("search", bank, "a clean mug")
    assert episode(1).id in output
    assert "success" in output
    assert "Nothing found" in run("search", bank, "zebra")
    assert json.loads(run("search", bank, "lettuce", "--success", "--json")) == []
    assert Trajectory.from_json(run("show", bank, episode(1).id, "--json")) == episode(1)
    assert "1 > look" in run("show", bank, episode(1).id)
    run("add-strategy", bank, "trajectory")
    assert json.loads(run("search", bank, "room", "--strategy", "trajectory", "--json"))
    assert "1 trajectories" in run("export", bank, place / "won.jsonl", "--success")
    assert "1 removed, 1 left" in run("delete", bank, episode(1).id)
    assert "1 added" in run("import", bank, place / "won.jsonl")
    assert json.loads(run("info", bank, "--version", about["version"], "--json"))["rows"] == 2


def test_create_names_what_it_made(place):
    assert "strategies task, trajectory" in run("create", place / "b", "--strategy", "task", "--strategy", "trajectory")
    assert Bank.open(place / "b").strategies == ("task", "trajectory")


def test_what_is_quarantined_and_by_whom(place, episode):
    bank = place / "bank"
    output = run("add", bank, place / "one.jsonl")
    assert "1 added (1 of them quarantined)" in output
    assert "exprag bank trust" in output
    assert "Nothing found" in run("search", bank, "mug")
    assert "1 trusted now" in run("trust", bank, "--all")
    assert episode(1).id in run("search", bank, "mug", "--json")
    assert "1 quarantined now" in run("quarantine", bank, "--source", "expert")
    assert "0 removed" in run("delete", bank, "--created-before", "2020-01-01")
    assert "1 removed, 0 left" in run("delete", bank, "--quarantined", "--source", "expert")
    assert "2 added, 0" in run("add", bank, place / "run")  # your own, and its outcomes are known
    assert "2 quarantined now" in run("quarantine", bank, "--env", "house")
    vouched = run("import", bank, place / "one.jsonl", "--trust")
    assert "0 added, 1 there already" in vouched
    for command in ("trust", "quarantine", "delete"):
        with pytest.raises(ConfigError, match="No rows are named"):
            run(command, bank)


def test_versions_by_name(place, episode):
    bank = place / "bank"
    run("add", bank, place / "run")
    assert "No version has a name" in run("tags", bank)
    assert "paper is version" in run("tag", bank, "paper")
    run("delete", bank, episode(1).id)
    assert json.loads(run("info", bank, "--version", "paper", "--json"))["rows"] == 2
    assert list(json.loads(run("tags", bank, "--json"))) == ["paper"]
    records = json.loads(run("history", bank, "--limit", 2, "--json"))
    assert [(record["what"], record["tags"]) for record in records] == [("1 deleted", []), ("2 added", ["paper"])]
    assert "1 deleted" in run("history", bank)
    assert "'paper' holds" in run("optimize", bank, "--prune-days", 0)
    assert "gone" in run("untag", bank, "paper")
    assert "1 versions kept" in run("optimize", bank, "--prune-days", 0)
    with pytest.raises(BankError, match="no tag 'paper'"):
        run("info", bank, "--version", "paper")


def test_indices_from_the_outside(place, episode, hashing, monkeypatch):
    monkeypatch.setattr("exprag.bank.index._FEW", 100)
    monkeypatch.setattr("exprag.bank.encoders.load_encoder", lambda spec: None if spec == "lexical" else hashing())
    bank = Bank.create(place / "bank", hashing())
    write_jsonl(place / "many.jsonl", [episode(n, f"lamp {n}") for n in range(150)])
    assert "index of task: ivf_flat, 24 partitions" in run("add", bank.uri, place / "many.jsonl", "--trust")
    assert "ivf_flat of 24 partitions over 150 vectors; recall@10 1.000" in run("index", bank.uri, "--check")
    (report,) = json.loads(run("index", bank.uri, "--kind", "ivf_sq", "--json"))
    assert (report["kind"], report["recall"]) == ("ivf_sq", 1.0)
    run("add-strategy", bank.uri, "trajectory")
    with pytest.raises(BankError, match="is lexical"):
        run("index", Bank.create(place / "words").uri)


def test_stored_text_cannot_drive_the_terminal(place, episode):
    bad = episode(3, "evil \x1b]0;owned\x07 [bold]mug[/bold] \ud800 [/nonsense]")
    Bank.create(place / "bank").add([bad])
    for output in (run("search", place / "bank", "evil mug"), run("show", place / "bank", bad.id)):
        assert "\x1b]0" not in output
        assert "[bold]mug[/bold]" in output.replace("\n", "")


def test_errors_name_the_cure(place):
    with pytest.raises(BankError, match="exprag bank create"):
        run("info", place / "nothing")
    with pytest.raises(ConfigError, match="no file"):
        run("add", place / "bank", place / "missing.jsonl")
    assert not (place / "bank").exists()
    (place / "bad.jsonl").write_text((place / "one.jsonl").read_text() + "not json\n")
    with pytest.raises(BankError, match="1 line"):
        run("add", place / "bank", place / "bad.jsonl")
    assert len(Bank.open(place / "bank")) == 1
    with pytest.raises(BankError, match="no trajectory 'nobody'"):
        run("show", place / "bank", "nobody")
