"""Which recalled trajectories stand out in won and in lost episodes."""

from __future__ import annotations

from evaluation.material import arm, episode

from exprag.evaluation import RunResult, compare
from exprag.evaluation.credit import credit_of
from exprag.trajectory import Recalled, Step, Trajectory


def reading(task: str, success: bool, *ids: str, type: str = "fetch") -> Trajectory:
    """An episode that had these in context, at both of its steps."""
    recalled = tuple(Recalled(id=id, score=1.0) for id in ids)
    steps = tuple(Step(observation=f"o {n}", action=f"a {n}", recalled=recalled) for n in range(2))
    return episode(task, success, type=type).model_copy(update={"steps": steps})


def test_an_episode_counts_once_for_each_trajectory_and_its_type_is_what_is_expected() -> None:
    hard = [reading(f"h{n}", n == 0, "bad", type="hard") for n in range(4)]
    easy = [reading(f"e{n}", n > 0, "good", *(["bad"] if n == 0 else []), type="easy") for n in range(4)]
    credit = {item.id: item for item in credit_of([RunResult("m", {"bank": "b"}, {}, (*hard, *easy))])}
    good, bad = credit["good"], credit["bad"]
    assert (good.recalled, good.won, good.lost, good.expected, good.difference) == (4, 3, 1, 0.75, 0.0)
    assert (bad.recalled, bad.won, bad.lost) == (5, 1, 4)
    assert bad.expected == (4 * 0.25 + 0.75) / 5
    assert round(bad.difference, 3) == -0.15
    assert (good.verdict, bad.verdict) == ("unclear", "unclear")


def test_the_verdict_needs_more_than_chance() -> None:
    lost = [reading(f"l{n}", False, "bad") for n in range(12)]
    won = [reading(f"w{n}", True, "good") for n in range(12)]
    credit = {item.id: item.verdict for item in credit_of([RunResult("m", {"bank": "b"}, {}, (*lost, *won))])}
    assert credit == {"bad": "harms", "good": "helps"}


def test_the_report_shows_those_that_stand_out() -> None:
    episodes = [reading(f"l{n}", False, "bad", "rare" if n == 0 else "good") for n in range(4)]
    episodes += [reading(f"w{n}", True, "good") for n in range(4)]
    report = compare([arm("n", [False]), RunResult("m", {"bank": "b"}, {}, tuple(episodes))])
    assert [(item.id, item.recalled, item.won) for item in report.credit] == [("good", 7, 4), ("bad", 4, 0), ("rare", 1, 0)]
    rows = [line for line in report.to_markdown().splitlines() if line.startswith(("| bad", "| good", "| rare"))]
    assert rows == ["| bad | m | 4 | 0 | 4 | 50 % | harms |", "| good | m | 7 | 4 | 3 | 50 % | unclear |"]
    assert report.to_dict()["credit"][0]["interval"]["low"] > 0
