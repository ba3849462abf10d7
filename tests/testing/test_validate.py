"""`exprag validate`: what the kits find, shown; exit code 1 where something is wrong."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from command_line import Result, call

from exprag.bank import Bank
from exprag.errors import ConfigError, PluginError
from exprag.testing.material import ordinary

BAD = """
from exprag.contracts import Formatter

class Indexed(Formatter):
    def format(self, trajectory):
        return trajectory.steps[0].action
"""


@pytest.fixture
def bad_formatter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    (tmp_path / "bad_formatter.py").write_text(BAD)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield
    sys.modules.pop("bad_formatter", None)


def ask(*arguments: object) -> Result:
    return call("validate", *arguments)


@pytest.mark.parametrize(
    ("kind", "name", "check"),
    [
        ("strategy", "task", "finds its own"),
        ("selector", "mmr", "gives reasons"),
        ("formatter", "textual", "reads back what it writes"),
        ("style", "act", "never raises"),
    ],
)
def test_each_kind_has_its_command(kind: str, name: str, check: str) -> None:
    done = ask(kind, name, "--json")
    assert done.exit_code == 0, done.output
    results = json.loads(done.stdout)
    assert check in [result["name"] for result in results]
    assert all(result["passed"] is not False for result in results)


def test_the_expert_can_play_a_whole_split() -> None:
    done = ask("env", "toy:Toy", "--split", "test", "--set", "size=3", "--json")
    assert done.exit_code == 0, done.output
    results = json.loads(done.stdout)
    assert [(result["name"], result["detail"]) for result in results] == [(f"toy:test/{n}", "won in 4 steps") for n in range(3)]
    done = ask("env", "toy:Toy", "--split", "test", "--set", "size=3", "--set", "die_at=2")
    assert done.exit_code == 1
    assert done.output.count("The toy died.") == 3
    with pytest.raises(ConfigError):
        ask("env", "toy:Toy", "--split", "nowhere")


def test_a_failed_check_is_exit_code_1(bad_formatter: None) -> None:
    done = ask("selector", "rerank", "--set", "model=recall", "--set", "pool_size=1")
    assert done.exit_code == 0, done.output
    done = ask("formatter", "bad_formatter:Indexed", "--json")
    assert done.exit_code == 1
    assert "IndexError" in done.stdout
    with pytest.raises(ConfigError, match="not a class that implements Formatter"):
        ask("formatter", "exprag.trajectory:Task.model_construct")


def test_a_traceback_is_shown_on_request(bad_formatter: None) -> None:
    plain = ask("formatter", "bad_formatter:Indexed")
    assert "Traceback" not in plain.output
    traced = call("validate", "formatter", "bad_formatter:Indexed", env={"EXPRAG_TRACEBACK": "1"})
    assert "return trajectory.steps[0].action" in traced.stderr
    assert "IndexError" in traced.stderr


def test_options_and_names_are_checked_at_once() -> None:
    with pytest.raises(ConfigError):
        ask("selector", "mmr", "--set", "lambda_=2")
    with pytest.raises(PluginError):
        ask("strategy", "no-such-strategy")


def test_the_episodes_of_a_bank_can_be_examined(tmp_path: Path) -> None:
    bank = Bank.create(tmp_path / "bank")
    bank.add(ordinary(6))
    done = ask("strategy", "trajectory", "--bank", str(tmp_path / "bank"), "--json")
    assert done.exit_code == 0, done.output
    keys = next(result for result in json.loads(done.stdout) if result["name"] == "gives every trajectory a key")
    assert keys["detail"].startswith("18 trajectories")  # 6 and the odd ones
    empty = Bank.create(tmp_path / "empty")
    with pytest.raises(ConfigError):
        ask("selector", "top_k", "--bank", empty.uri)
