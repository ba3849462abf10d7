"""What a run will take, and its first prompt, before anything is played."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from exprag.bank import Bank
from exprag.environments.expert import play_expert
from exprag.errors import RunError
from exprag.graph import build_agent
from exprag.metering import Tokens
from exprag.runs import RunConfig, RunDirectory, run
from exprag.runs.dry_run import dry_run
from exprag.runs.estimate import ANSWER, Prompt, estimate
from exprag.runs.totals import Prices, Totals
from scripted import Scripted
from toy import Toy

PRICES = Prices(prompt=2.0, completion=8.0, cached=2.0)


def config(**values: Any) -> RunConfig:
    return RunConfig.make(**{"environment": "toy:Toy", "workers": 0, "max_steps": 3, **values})


def test_without_episodes_it_is_the_most() -> None:
    """Three episodes of four steps: prompts of 100, 110, 120 and 130 tokens each."""
    expectation = estimate(3, 4, Totals(), PRICES, Prompt(first=100, per_step=10))
    assert (expectation.steps, expectation.measured) == (12, False)
    assert expectation.tokens == Tokens(12, 3 * 460, 12 * ANSWER, 0)
    assert expectation.cost == pytest.approx((3 * 460 * 2 + 12 * ANSWER * 8) / 1e6)
    assert expectation.text() == "at most 12 steps, about 1,380 tokens read and 240 written, $0.00"
    assert estimate(3, 4, Totals(), PRICES).text() == "at most 12 steps"
    assert estimate(0, 4, Totals(), PRICES).text() == ""


def test_with_episodes_it_goes_by_their_means() -> None:
    totals = Totals(episodes=4, steps=20, usage={"agent": Tokens(20, 4000, 200, 1000)})
    expectation = estimate(2, 50, totals, PRICES)
    assert expectation.tokens == Tokens(10, 2000, 100, 500)
    assert expectation.text() == "about 10 steps, about 2,000 tokens read and 100 written, $0.00 by the episodes so far"
    assert expectation.cost == pytest.approx((2000 * 2 + 100 * 8) / 1e6)


def test_the_first_prompt_is_the_one_that_is_sent(tmp_path: Path) -> None:
    toy = Toy()
    bank = Bank.create(tmp_path / "bank")
    bank.add([play_expert(toy, task) for task in list(toy.tasks("train"))[:3]])
    settings = config(bank=bank.uri, k=1, style="react")
    look = dry_run(settings, tmp_path / "r")
    assert not (tmp_path / "r").exists()
    model = Scripted(turns=["Action: go"], prompts=[])
    agent = build_agent("toy:Toy", model, bank=bank, config=settings.agent, max_steps=1)
    agent.invoke({"task": look.task.to_dict() if look.task else "", "seed": settings.seed})
    assert look.messages == tuple(
        ({"human": "user", "ai": "assistant"}.get(message.type, message.type), message.text) for message in model.prompts[0]
    )
    assert (look.tasks, look.estimate.episodes, look.estimate.steps) == (8, 8, 24)
    assert look.tokens == pytest.approx(sum(len(text) for _, text in look.messages) / 4, rel=0.1)


def test_it_looks_at_what_is_there(tmp_path: Path) -> None:
    run(config(limit=2), tmp_path / "r")
    files = {path: path.stat().st_mtime_ns for path in (tmp_path / "r").iterdir()}
    with pytest.raises(RunError, match="holds another run"):
        dry_run(config(max_steps=4), tmp_path / "r")
    look = dry_run(config(limit=2), tmp_path / "r")
    assert (look.task, look.messages, look.estimate.text()) == (None, (), "")
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "r").iterdir()} == files


def test_it_is_announced_and_logged(tmp_path: Path) -> None:
    lines: list[str] = []
    run(config(limit=2), tmp_path / "r", announce=lines.append)
    assert lines == ["2 tasks, 0 played, 2 to play: at most 6 steps"]
    assert lines[0] in (tmp_path / "r" / "log.txt").read_text()
    first = RunDirectory(tmp_path / "r").entries()[0]
    RunDirectory(tmp_path / "r").forget([first.id])
    run(config(limit=2), tmp_path / "r", announce=lines.append)
    assert lines[1].startswith("2 tasks, 1 played, 1 to play: about ")
    run(config(limit=2), tmp_path / "r", announce=lines.append)
    assert len(lines) == 2
