"""`exprag run` with budgets, dry runs and tolerated errors, and `exprag watch`, as users type them."""

from __future__ import annotations

import re
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from command_line import Result, exprag
from waiting import PATIENCE, start, wait_for

from exprag.cli.progress import episodes_bar, episodes_progress
from exprag.cli.run_report import error_limit
from exprag.cli.standing import Standing, duration
from exprag.errors import ConfigError
from exprag.metering import Tokens
from exprag.runs import RunConfig, RunDirectory, run
from exprag.runs.lock import locked
from exprag.runs.totals import Totals

TOY = ("--environment", "toy:Toy", "--workers", "0", "--max-steps", "3")


@pytest.fixture
def play(tmp_path: Path) -> Callable[..., Result]:
    return lambda *more: exprag("run", *TOY, "--out", tmp_path / "r", *more)


def test_a_budget_ends_with_a_code_of_its_own(play: Callable[..., Result], tmp_path: Path) -> None:
    stopped = play("--budget-tokens", "1", "--price-prompt", "2", "--price-completion", "8")
    assert stopped.exit_code == 3
    assert "8 tasks, 0 played, 8 to play: at most 24 steps" in stopped.stdout
    assert re.search(r"agent: [\d,]+ tokens read, [\d,]+ written in 3 calls", stopped.stdout)
    assert re.search(r"cost: \$0\.\d+", stopped.stdout)
    assert re.search(r"stopped: the budget of 1 tokens is spent \(\d+\), tasks left: 7\.", stopped.stdout)
    whole = play()
    assert whole.exit_code == 0
    assert re.search(r"8 tasks, 1 played, 7 to play: about \d+ steps", whole.stdout)
    assert "8/8 episodes" in whole.stderr  # no terminal here: progress is a line
    zero = play("--budget-tokens", "0")
    assert zero.exit_code == 1
    assert "budget_tokens: Input should be greater than 0" in zero.stderr


def test_a_dry_run_shows_the_prompt_and_does_nothing(play: Callable[..., Result], tmp_path: Path) -> None:
    look = play("--dry-run")
    assert look.exit_code == 0, look.stderr
    assert "[system]" in look.stdout
    assert "at most 24 steps, about" in look.stdout
    assert not (tmp_path / "r").exists()


def test_errors_may_be_tolerated(play: Callable[..., Result]) -> None:
    broken = ("--set", "die_at=1", "--limit", "4", "--stop-after-errors", "none")
    assert play(*broken).exit_code == 1
    assert play(*broken, "--fail-on", "100%").exit_code == 0
    assert play(*broken, "--fail-on", "3").exit_code == 1
    wrong = play(*broken, "--fail-on", "many")
    assert (wrong.exit_code, "--fail-on takes a number" in wrong.stderr) == (1, True)


@pytest.mark.parametrize(
    ("text", "episodes", "errors"),
    [(None, 100, 0), ("0", 100, 0), ("3", 100, 3), ("5%", 100, 5), ("2.5 %", 200, 5), ("0%", 9, 0)],
)
def test_how_many_errors_are_tolerated(text: str | None, episodes: int, errors: int) -> None:
    assert error_limit(text)(episodes) == errors


@pytest.mark.parametrize("text", ["", "-1", "101%", "nan%", "five", "2.5", "%"])
def test_what_is_no_number_of_errors(text: str) -> None:
    with pytest.raises(ConfigError, match="3 or 5%"):
        error_limit(text)


def test_how_a_run_stands_in_one_line() -> None:
    whole = Totals(episodes=50, successes=20, usage={"agent": Tokens(500, 100_000, 5_000, 60_000)})
    recent = Totals(episodes=10, steps=100, usage={"agent": Tokens(100, 20_000, 1_000, 12_000)})
    standing = Standing(50, 110, whole, recent, 40.0)
    interval = "20/50 successful = 40% (95 %: 28% to 54%)"
    assert standing.text() == f"{interval}, 2.5 steps/s, 525 tokens/s, 60% of the prompts from a cache, 4 min left"
    assert Standing(50, 110, whole).text() == f"{interval}, 60% of the prompts from a cache"
    assert Standing(0, 110, Totals()).text() == ""


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.04, "0.0 s"), (45, "45 s"), (720, "12 min"), (12_000, "3 h 20 min"), (187_200, "2 d 4 h")]
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_progress_counts_earlier_episodes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    settings: dict[str, Any] = {"environment": "toy:Toy", "workers": 0, "max_steps": 3}
    run(RunConfig.make(**settings, limit=2), tmp_path / "r")
    episodes = RunDirectory(tmp_path / "r").episodes()
    with episodes_progress(tmp_path / "r", plain=True) as update:
        update(2, 3, None)
        update(3, 3, episodes[0])
    assert "r: 3/3 episodes, 0/3 successful" in capsys.readouterr().err
    with episodes_bar("bar") as update:  # a bar counts what it is told
        update(0, 1, None)
        update(1, 1, episodes[0])
    assert "0/1 successful" in capsys.readouterr().out


def test_a_finished_run_is_watched_once(play: Callable[..., Result], tmp_path: Path) -> None:
    play("--budget-tokens", "1")
    seen = exprag("watch", tmp_path / "r")
    assert seen.exit_code == 0, seen.stderr
    assert "r: toy:Toy test, case-based: stopped with 7 of 8 to play: the budget of 1 tokens is spent" in seen.stdout
    assert "1/8 episodes, 0/1 successful" in seen.stdout
    assert "written in 3 calls" in seen.stdout
    (tmp_path / "r" / "versions.json").write_text("{}")  # of an older version
    assert "1/? episodes" in exprag("watch", tmp_path / "r", "--once").stdout
    assert exprag("watch", tmp_path).exit_code == 1
    assert exprag("watch", tmp_path / "r", "--every", "0").exit_code == 1


def test_a_run_that_is_going_is_watched_until_it_ends(play: Callable[..., Result], tmp_path: Path) -> None:
    play("--limit", "2")
    results: list[Result] = []
    with locked(tmp_path / "r"):
        assert "playing, process " in exprag("watch", tmp_path / "r", "--once").stdout
        watcher = threading.Thread(target=lambda: results.append(exprag("watch", tmp_path / "r", "--plain", "--every", "0.05")))
        watcher.start()
    watcher.join(PATIENCE)
    assert results[0].exit_code == 0
    assert "case-based: finished" in results[0].stdout


PLAYING = """
from exprag.runs import RunConfig, run
if __name__ == "__main__":
    options = {"what": "hang", "sign": "sign", "task": "test/1"}
    run(RunConfig.make(environment="stuck:Stuck", environment_options=options, limit=3, max_steps=2, workers=0), "r")
"""


def test_a_killed_run_is_not_taken_for_one_that_goes_on(tmp_path: Path) -> None:
    process = start(PLAYING, tmp_path)
    try:
        wait_for(tmp_path / "sign", process)
        assert f"playing, process {process.pid} on" in exprag("watch", tmp_path / "r", "--once").stdout
    finally:
        process.send_signal(signal.SIGKILL)
        process.communicate(timeout=PATIENCE)
    assert "its last process did not end by itself" in exprag("watch", tmp_path / "r").stdout
