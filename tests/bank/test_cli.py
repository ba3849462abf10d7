"""`exprag bank …` from the outside."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from exprag.bank import Bank
from exprag.cli.bank import app
from exprag.errors import BankError, ConfigError
from exprag.trajectory import Trajectory, write_jsonl


def run(*arguments: object) -> str:
    result = CliRunner().invoke(app, [str(a) for a in arguments], catch_exceptions=False, env={"COLUMNS": "200"})
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
    assert "2 added" in run("add", bank, place / "run", place / "one.jsonl")
    about = json.loads(run("info", bank, "--json"))
    assert (about["rows"], about["types"]) == (2, {"put": 1, "cool": 1})
    assert "strategies" in run("info", bank)
    rows = json.loads(run("search", bank, "lettuce", "-k", 1, "--json"))
    assert [(r["type"], r["outcome"], r["reason"]) for r in rows] == [("cool", "failure", "BM25 of keys task")]
    shown = run("search", bank, "a clean mug")
    assert episode(1).id in shown
    assert "success" in shown
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


def test_stored_text_cannot_drive_the_terminal(place, episode):
    bad = episode(3, "evil \x1b]0;owned\x07 [bold]mug[/bold] \ud800 [/nonsense]")
    Bank.create(place / "bank").add([bad])
    for shown in (run("search", place / "bank", "evil mug"), run("show", place / "bank", bad.id)):
        assert "\x1b]0" not in shown
        assert "[bold]mug[/bold]" in shown.replace("\n", "")


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
