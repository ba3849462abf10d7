"""`exprag report`: what it prints, writes and opens."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from command_line import exprag
from evaluation.material import arm, episode, write_run

from exprag.bank import Bank
from exprag.errors import BankError
from exprag.evaluation import RunResult, compare
from exprag.trajectory import EpisodeError, Recalled, Step


def cli(*arguments: object) -> str:
    """What `exprag report` prints on stdout, where it succeeds."""
    outcome = exprag("report", *arguments)
    assert outcome.exit_code == 0, outcome.output
    return outcome.stdout


def test_the_command_prints_tables_json_or_markdown(tmp_path: Path) -> None:
    with_ = write_run(tmp_path / "m", arm("memory", [True] * 15 + [False] * 5, bank="gone"))
    without = write_run(tmp_path / "n", arm("no-memory", [False] * 20))
    assert "excludes zero" in cli(with_, without)
    assert json.loads(cli(with_, without, "--json"))["baseline"] == "no-memory"
    assert json.loads(cli(with_, without, "--json", "--baseline", "memory"))["baseline"] == "memory"
    assert cli(with_, without, "--markdown").startswith("**Arms")
    both, missing = (with_, "--json", "--markdown"), (tmp_path / "nothing",)
    for arguments, message in [(both, "--json and --markdown"), (missing, "no run directory")]:
        refused = exprag("report", *arguments)
        assert refused.exit_code == 1
        assert message in " ".join(refused.stderr.split())


def test_the_command_writes_the_page_with_what_the_bank_still_holds(tmp_path: Path) -> None:
    stored = episode("experience", True).model_copy(update={"source": "expert"})
    bank = Bank.create(tmp_path / "bank")
    bank.add([stored])
    run = arm("memory", [True], bank=str(tmp_path / "bank"), bank_version=bank.version)
    recall = (Recalled(id=stored.id, score=0.5, reason="near"),)
    episodes = tuple(
        e.model_copy(update={"steps": tuple(s.model_copy(update={"recalled": recall}) for s in e.steps)}) for e in run.episodes
    )
    folder = write_run(tmp_path / "run", replace(run, episodes=episodes))
    page = tmp_path / "out" / "page.html"
    assert "step by step" in exprag("report", folder, "--html", page).stderr
    assert "do experience" in page.read_text()

    lost = write_run(tmp_path / "lost", replace(run, config={**run.config, "bank": str(tmp_path / "moved")}, episodes=episodes))
    assert "without their text" in exprag("report", lost, "--html", page).stderr
    assert "do experience" not in page.read_text()
    assert stored.id in page.read_text()


def test_the_command_opens_no_bank_on_the_network_unless_it_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recall = (Recalled(id="x", score=0.5),)
    steps = (Step(observation="o", action="a", recalled=recall),)
    episodes = (episode("1", True).model_copy(update={"steps": steps}),)
    folder = write_run(tmp_path / "run", RunResult("m", {"environment": "toy", "bank": "s3://someone/bank"}, {}, episodes))
    opened: list[str] = []

    def refuse(uri: str, version: int | None = None) -> Bank:
        opened.append(uri)
        raise BankError("no network in tests")

    monkeypatch.setattr(Bank, "open", refuse)
    text = cli(folder, "--html", tmp_path / "page.html")
    assert opened == []
    assert "s3://someone/bank was not opened" in text
    assert "--bank s3://someone/bank" in text
    cli(folder, "--html", tmp_path / "page.html", "--bank", "s3://someone/bank")
    assert set(opened) == {"s3://someone/bank"}, "by the page and by the audit"


def test_the_command_reads_a_bank_that_has_moved(tmp_path: Path) -> None:
    stored = episode("experience", True)
    Bank.create(tmp_path / "moved").add([stored])
    steps = (Step(observation="o", action="a", recalled=(Recalled(id=stored.id, score=0.5),)),)
    episodes = (episode("1", True).model_copy(update={"steps": steps}),)
    folder = write_run(tmp_path / "run", RunResult("m", {"environment": "toy", "bank": str(tmp_path / "gone")}, {}, episodes))
    cli(folder, "--html", tmp_path / "page.html", "--bank", tmp_path / "moved")
    assert "do experience" in (tmp_path / "page.html").read_text()


def test_a_task_that_a_run_holds_twice_is_counted_once_and_told(tmp_path: Path) -> None:
    run = arm("m", [True, False])
    folder = write_run(tmp_path / "run", replace(run, episodes=(*run.episodes, episode("001", True, steps=9))))
    text = " ".join(cli(folder).split())
    assert "left out because the run already has one of the same task and seed: 1." in text
    report = json.loads(cli(folder, "--json"))
    assert (report["arms"][0]["total"]["n"], report["arms"][0]["total"]["solved"]) == (2, 1)


def test_no_credential_is_shown(tmp_path: Path) -> None:
    secret, key = "hunter2hunter2", "sk-" + "a1b2c3d4" * 4
    model = f"openai:x?base_url=http://user:{secret}@host/v1"
    config = {"model": model, "bank": f"s3://id:{secret}@bucket/bank", "environment_options": {"api_key": secret, "seed": 3}}
    error = EpisodeError(boundary="model", message=f"401: the key {key} is not valid at http://user:{secret}@host/v1")
    steps = (Step(observation="o", action="a", note=f"the server said {key}", recalled=(Recalled(id="x", score=1.0),)),)
    broken = episode("1", False, ended="error", error=error)
    broken = broken.model_copy(update={"steps": steps, "provenance": broken.provenance.model_copy(update={"model": model})})
    run = RunResult("m", {"environment": "toy", **config}, {}, (broken,))
    folder = write_run(tmp_path / "run", run)
    shown_texts = [cli(folder, "--html", tmp_path / "page.html"), cli(folder, "--json"), cli(folder, "--markdown")]
    page = (tmp_path / "page.html").read_text()
    for text in (*shown_texts, page):
        assert secret not in text
        assert key not in text
    assert "401: the key " in page
    options = compare([run]).arms[0].config["environment_options"]
    assert options == {"api_key": "[hidden]", "seed": 3}
