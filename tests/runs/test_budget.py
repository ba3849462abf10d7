"""Prices, and budgets at which a run stops and from which it goes on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from exprag.errors import ConfigError, RunError
from exprag.metering import Tokens
from exprag.runs import RunConfig, RunDirectory, run
from exprag.runs.episode_facts import facts_of
from exprag.runs.totals import Prices, Totals
from exprag.trajectory import Provenance, Step, Task, Trajectory, Usage


def config(**values: Any) -> RunConfig:
    return RunConfig.make(**{"environment": "toy:Toy", "workers": 0, "max_steps": 3, **values})


def spent(folder: Path) -> int:
    tokens = Totals.of(RunDirectory(folder).entries()).tokens
    return tokens.prompt + tokens.completion


@pytest.mark.parametrize("workers", [0, 2])
def test_it_stops_at_the_budget_and_goes_on_with_more(workers: int, tmp_path: Path) -> None:
    run(config(), tmp_path / "whole")
    third = spent(tmp_path / "whole") // 3
    first = run(config(budget_tokens=third, workers=workers), tmp_path / "r")
    assert 0 < first.episodes < 8
    assert first.left == 8 - first.episodes
    assert spent(tmp_path / "r") >= third
    assert first.stopped == f"the budget of {third:,} tokens is spent ({spent(tmp_path / 'r'):,})"
    assert f"stopped with {first.left} of 8 to play: the budget of" in (tmp_path / "r" / "log.txt").read_text()
    again = run(config(budget_tokens=third), tmp_path / "r")  # of the same budget nothing is left
    assert (again.episodes, again.stopped) == (first.episodes, first.stopped)
    last = run(config(budget_tokens=10 * third), tmp_path / "r")
    assert (last.episodes, last.left, last.stopped) == (8, 0, "")
    assert len({entry.key for entry in RunDirectory(tmp_path / "r").entries()}) == 8


def test_in_process_no_episode_is_begun_after_the_budget(tmp_path: Path) -> None:
    assert run(config(budget_tokens=1), tmp_path / "r").episodes == 1


def test_a_budget_of_money_goes_by_the_prices(tmp_path: Path) -> None:
    money = {"price_prompt": 1_000_000, "price_completion": 0, "budget_cost": 1}
    summary = run(config(**money), tmp_path / "r")
    assert summary.episodes == 1
    assert summary.cost == summary.totals.tokens.prompt
    assert "the budget of $1.00 is spent" in summary.stopped


def test_a_budget_of_time(tmp_path: Path) -> None:
    summary = run(config(budget_minutes=1e-9), tmp_path / "r")
    assert (summary.episodes, summary.left) == (0, 8)
    assert run(config(budget_minutes=60), tmp_path / "r").episodes == 8


def test_a_run_that_learns_stops_within_a_round_and_goes_on(tmp_path: Path) -> None:
    learning = {"learn": "all", "learn_every": 3, "k": 1}
    assert run(config(budget_tokens=1, **learning), tmp_path / "r").episodes == 1
    assert run(config(**learning), tmp_path / "r").episodes == 8


@pytest.mark.parametrize("name", ["budget_tokens", "budget_cost", "budget_minutes"])
def test_a_budget_of_zero_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match=f"{name}.*greater than 0"):
        config(**{name: 0})


def test_prices_lack_nothing(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"without price_completion.*--price-completion"):
        run(config(price_prompt=1), tmp_path / "r")
    assert not (tmp_path / "r").exists()


def test_a_budget_that_cannot_be_held_is_an_error(tmp_path: Path) -> None:
    """Of a model that says no tokens, here a graph that calls none; and of one whose cost nobody says."""
    graph = f"{Path(__file__).parent / 'silent.py'}:graph"
    with pytest.raises(RunError, match=r"does not say how many tokens.*--budget-minutes"):
        run(config(budget_tokens=1000, graph=graph), tmp_path / "r")
    assert run(config(graph=graph), tmp_path / "r").episodes == 8
    with pytest.raises(RunError, match=r"Nobody says what the model's calls cost.*--price-prompt"):
        run(config(budget_cost=1), tmp_path / "c")


def test_what_cached_tokens_cost() -> None:
    tokens = Tokens(calls=3, prompt=2_000_000, completion=100_000, cached=1_500_000)
    prices = Prices.of(config(price_prompt=2, price_completion=10, price_cached=0.5))
    assert prices is not None
    assert prices.cost(tokens) == pytest.approx(0.5 * 2 + 1.5 * 0.5 + 0.1 * 10)
    without = Prices.of(config(price_prompt=2, price_completion=10))
    assert without is not None
    assert without.cost(tokens) == pytest.approx(2 * 2 + 0.1 * 10)


def test_records_without_figures_are_counted_by_their_steps() -> None:
    """Older records, traces of others, and figures that are not ours."""
    steps = tuple(Step(observation="o", action="a", usage=Usage(prompt=10, completion=2, cost=0.25)) for _ in range(3))
    for extra in ({}, {"usage": "much", "seconds": [1]}, {"usage": {"agent": 5}, "seconds": {"model": "long"}}):
        episode = Trajectory(task=Task(environment="e", id="t"), steps=steps, provenance=Provenance(extra=extra))
        *_, count, usage, seconds, cost = facts_of(episode.to_dict())
        assert (count, usage, seconds, cost) == (3, {"agent": [3, 30, 6, 0]}, {}, 0.75)
