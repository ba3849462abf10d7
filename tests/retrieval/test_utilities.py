"""Utilities: learned from the outcomes of episodes that recalled a trajectory, kept in a file."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from command_line import call
from hypothesis import given
from hypothesis import strategies as st

from exprag import Step, Task, Trajectory
from exprag.errors import ConfigError
from exprag.retrieval.utilities import Utility, learn_utilities, read_utilities, write_utilities
from exprag.trajectory import EpisodeError, Recalled


def episode(number: int, *recalled: str, success: bool | None = True, score: float | None = None, **about) -> Trajectory:
    steps = tuple(Step(observation="o", action="a", recalled=(Recalled(id=id, score=1.0),)) for id in recalled)
    task = Task(environment="e", id=str(number))
    return Trajectory(task=task, steps=steps, success=success, score=score, **about)


def test_an_episode_counts_once_for_what_it_recalled():
    learned = learn_utilities([episode(1, "a", "a", "b"), episode(2, "a", success=False, score=0.0)], alpha=0.5)
    assert list(learned) == ["a", "b"]
    assert learned["a"].n == 2
    assert learned["a"].from_prior(1.0) == 0.5  # 1 → 1 → 0.5
    assert learned["b"].from_prior(0.0) == 0.5


def test_a_part_of_the_score_is_a_part_of_the_reward_and_errors_teach_nothing():
    half = episode(1, "a", success=False, score=0.5)
    bad = episode(2, "a", success=False, score=-1.0)
    broken = episode(3, "b", success=False, ended="error", error=EpisodeError(boundary="model", message="down"))
    unknown = episode(4, "b", success=None)
    learned = learn_utilities([half, bad, broken, unknown], alpha=1.0)
    assert learned == {"a": Utility(2, 0.0, 0.0)}
    assert learn_utilities([half], alpha=1.0)["a"].from_prior(0.0) == 0.5
    assert learn_utilities([]) == {}
    with pytest.raises(ConfigError, match="alpha"):
        learn_utilities([], alpha=0)


@given(st.floats(0, 1), st.lists(st.floats(0, 1), max_size=8), st.floats(0.01, 1))
def test_what_is_kept_is_the_same_update(prior: float, rewards: list[float], alpha: float):
    q, utility = prior, Utility()
    for reward in rewards:
        q += alpha * (reward - q)
        utility = utility.updated(reward, alpha)
    assert utility.from_prior(prior) == pytest.approx(q)
    assert -1e-9 <= utility.from_prior(prior) <= 1 + 1e-9


def test_the_file_round_trips_and_is_replaced_as_a_whole(tmp_path: Path):
    path = tmp_path / "new" / "u.json"
    learned = {"b": Utility(2, 0.49, 0.3), "ä\ud800": Utility(1, 0.7, 0.0)}
    write_utilities(path, learned)
    assert read_utilities(path) == learned
    write_utilities(path, {})
    assert read_utilities(path) == {}
    assert [p.name for p in path.parent.iterdir()] == ["u.json"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "not JSON"),
        ("[1]", "not a file of utilities"),
        ('{"format": "exprag utilities 2", "utilities": {}}', "not a file of utilities"),
        ('{"format": "exprag utilities 1", "utilities": {"a": {"n": "many"}}}', "a.n"),
        ('{"format": "exprag utilities 1"}', "do not validate"),
    ],
)
def test_a_damaged_file_is_refused(tmp_path: Path, text: str, said: str):
    path = tmp_path / "u.json"
    path.write_text(text)
    with pytest.raises(ConfigError, match=said):
        read_utilities(path)


def test_the_command_learns_from_a_run(tmp_path: Path):
    from exprag.bank import Bank
    from exprag.runs import RunConfig, RunDirectory, run

    expert = RunConfig.make(policy="expert", environment="toy:Toy", split="train", workers=0)
    run(expert, tmp_path / "expert")
    bank = Bank.create(tmp_path / "bank")
    bank.add(RunDirectory(tmp_path / "expert").episodes())
    run(RunConfig.make(environment="toy:Toy", bank=bank.uri, workers=0), tmp_path / "agent")
    done = call("bank", "utilities", tmp_path / "agent", "-o", tmp_path / "u.json")
    assert done.exit_code == 0, done.output
    learned = read_utilities(tmp_path / "u.json")
    recalled = {r.id for t in RunDirectory(tmp_path / "agent").episodes() for s in t.steps for r in s.recalled}
    assert recalled == set(learned) != set()
    assert json.loads((tmp_path / "u.json").read_text())["format"] == "exprag utilities 1"
    with pytest.raises(ConfigError, match="had a memory to learn about"):
        call("bank", "utilities", tmp_path / "expert", "-o", tmp_path / "v.json")
    assert not (tmp_path / "v.json").exists()
