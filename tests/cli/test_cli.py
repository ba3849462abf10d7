"""The command line as a user meets it: in a process of its own, errors without a traceback."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from exprag.files import read_jsonl


def exprag(*args: str, cwd: Path, **env: str) -> subprocess.CompletedProcess[str]:
    """Run the command with the toy environment importable."""
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1]), "COLUMNS": "160", **env}
    command = [sys.executable, "-m", "exprag", *args]
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=300)


def test_plugins_are_listed_for_machines_and_people(tmp_path: Path) -> None:
    rows = json.loads(exprag("plugins", "--json", cwd=tmp_path).stdout)
    assert {"id", "kind", "distribution", "version", "status", "description"} <= set(rows[0])
    assert {row["kind"] for row in rows} >= {"environment", "query_strategy", "selector", "formatter"}
    assert "chat_json" in exprag("plugins", cwd=tmp_path).stdout
    none = json.loads(exprag("plugins", "--json", cwd=tmp_path, EXPRAG_LOAD_PLUGINS="none").stdout)
    assert none == []


def test_doctor_checks_the_core(tmp_path: Path) -> None:
    outcome = exprag("doctor", "--json", cwd=tmp_path)
    assert outcome.returncode == 0, outcome.stdout
    checks = {row["name"]: row for row in json.loads(outcome.stdout)}
    assert checks["bank"]["ok"]
    assert checks["langgraph"]["ok"]


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["run", "-o", "r"], "Give --env NAME"),
        (["run", "-e", "nowhere", "-o", "r"], "no environment 'nowhere'"),
        (["run", "-e", "toy:Toy", "--set", "sise=3", "-o", "r"], "It takes: size"),
        (["run", "-e", "toy:Toy", "--set", "size", "-o", "r"], "NAME=VALUE"),
        (["run", "-e", "toy:Toy", "--task", "test/77", "-o", "r"], "no task 'test/77'"),
        (["run", "-e", "toy:Toy", "--split", "nope", "-o", "r"], "nope"),
        (["run", "-e", "toy:Toy", "--bank", "gone", "-o", "r"], "gone"),
        (["run", "-e", "toy:Toy", "--model", "rekall", "-o", "r"], "rekall"),
        (["run", "-e", "toy:Toy", "-k", "-3", "-o", "r"], ""),
        (["collect", "-e", "toy:Toy", "--expert", "nobody", "-o", "r"], "nobody"),
        (["report", "gone"], "gone"),
        (["bank", "info", "gone"], "gone"),
        (["validate", "env", "nowhere"], "nowhere"),
    ],
)
def test_bad_input_is_told_without_a_traceback(args: list[str], message: str, tmp_path: Path) -> None:
    outcome = exprag(*args, cwd=tmp_path)
    assert outcome.returncode != 0
    assert "Traceback" not in outcome.stderr + outcome.stdout
    assert message in " ".join((outcome.stderr + outcome.stdout).split())
    assert not (tmp_path / "r" / "episodes.jsonl").exists()


def test_a_traceback_is_there_for_who_asks(tmp_path: Path) -> None:
    assert "Traceback" in exprag("bank", "info", "gone", cwd=tmp_path, EXPRAG_TRACEBACK="1").stderr


def test_tasks_are_counted_by_type(tmp_path: Path) -> None:
    assert "test/1" in exprag("tasks", "-e", "toy:Toy", cwd=tmp_path).stdout


def test_validate_passes_the_toy_and_fails_a_broken_one(tmp_path: Path) -> None:
    outcome = exprag("validate", "env", "toy:Toy", "--json", cwd=tmp_path)
    assert outcome.returncode == 0, outcome.stderr
    assert all(row["passed"] is not False for row in json.loads(outcome.stdout))
    broken = exprag("validate", "env", "toy:Toy", "--set", "die_at=0", cwd=tmp_path)
    assert broken.returncode == 1
    assert "The toy died" in broken.stdout


@pytest.mark.slow
def test_the_demo_from_end_to_end(tmp_path: Path) -> None:
    args = ("demo", "-e", "toy:Toy", "-o", "d", "--train-per-type", "4", "--test-per-type", "4", "--workers", "2")
    outcome = exprag(*args, cwd=tmp_path)
    assert outcome.returncode == 0, outcome.stderr
    assert "memory − no-memory" in outcome.stdout
    assert "test/0" in (tmp_path / "d" / "report.html").read_text(encoding="utf-8")
    with_memory = list(read_jsonl(tmp_path / "d" / "memory" / "episodes.jsonl"))
    assert len(with_memory) == 8
    assert all(step.recalled for episode in with_memory for step in episode.steps)
    again = exprag(*args, cwd=tmp_path)
    assert again.returncode == 0
    assert "nothing left to do" in again.stdout
    assert list(read_jsonl(tmp_path / "d" / "memory" / "episodes.jsonl")) == with_memory
