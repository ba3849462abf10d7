"""Measures with n and interval; comparisons that are refused, corrected, or made of several seeds; the long table."""

from __future__ import annotations

import csv
import io
from dataclasses import replace
from typing import Any

import pytest
from evaluation.material import arm, episode

from exprag.errors import ConfigError
from exprag.evaluation import RunResult, compare, measure
from exprag.evaluation.measures import values_of
from exprag.trajectory import Step, Task, Trajectory, Usage


def steps(*actions: str, **more: Any) -> tuple[Step, ...]:
    return tuple(Step(observation="room", action=action, **more) for action in actions)


def test_an_episode_measures_what_it_carries() -> None:
    plain = episode("1", True)
    assert values_of(plain) == {"success": 1, "steps": 2, "score": 1, "repeated_actions": 0}
    usage = Usage(prompt=10, completion=2, cached=4, cost=0.5)
    rich = episode("2", None, seconds=3.0).model_copy(update={"steps": steps("a", "a", "b", usage=usage, valid=False)})
    extra = {"seconds": {"model": 2.5, "environment": 0.5}, "tokens": {"retrieval": 7}}
    rich = rich.model_copy(update={"provenance": rich.provenance.model_copy(update={"extra": extra})})
    assert values_of(rich) == {
        "success": 0, "steps": 3, "invalid_actions": 3, "repeated_actions": 1, "prompt_tokens": 30, "completion_tokens": 6,
        "tokens": 36, "cached_tokens": 12, "cost": 1.5, "seconds": 3.0, "seconds_model": 2.5, "seconds_environment": 0.5,
        "retrieval_tokens": 7,
    }  # fmt: skip


def test_every_measure_has_its_n_and_its_interval() -> None:
    usage = Usage(prompt=10, completion=2)
    metered = [episode(str(n), True).model_copy(update={"steps": steps(*"ab"[: n % 2 + 1], usage=usage)}) for n in range(6)]
    measures = measure([*metered, episode("9", False, score=None)]).measures
    assert (measures["success"].n, measures["score"].n, measures["tokens"].n) == (7, 6, 6)
    assert measures["success"].interval is not None
    assert measures["tokens"].mean == 18
    tokens = measures["tokens"].interval
    assert tokens is not None
    assert 12 <= tokens.low < 18 < tokens.high <= 24
    assert "cost" not in measures


def test_several_seeds_of_a_task_are_not_several_tasks() -> None:
    once = [episode(str(task), task < 5) for task in range(10)]
    seeds = [episode(str(task), task < 5, seed=seed) for task in range(10) for seed in range(8)]
    narrow, wide = measure([episode(str(n), n < 40) for n in range(80)]).interval, measure(seeds).interval
    assert narrow is not None
    assert wide is not None
    assert wide.high - wide.low > 2 * (narrow.high - narrow.low)
    assert measure(seeds).tasks == measure(once).tasks == 10
    solved = measure([episode(str(task), True, seed=seed) for task in range(10) for seed in range(8)]).interval
    assert solved == measure([episode(str(task), True) for task in range(10)]).interval, "Wilson's, of the tasks"


def test_a_difference_over_several_seeds_takes_the_task_as_the_unit() -> None:
    def run(name: str, solved: int, seeds: int, **config: Any) -> RunResult:
        episodes = tuple(episode(str(task), task < solved, seed=seed) for task in range(12) for seed in range(seeds))
        return RunResult(name, {"bank": None, **config}, {}, episodes)

    once = compare([run("m", 9, 1, bank="b"), run("n", 3, 1)]).comparisons[0].total
    five = compare([run("m", 9, 5, bank="b"), run("n", 3, 5)]).comparisons[0].total
    assert (once.paired.n, five.paired.n, five.tasks) == (12, 60, 12)
    assert five.p_value == pytest.approx(once.p_value) == pytest.approx(2 / 2**6)
    assert five.success.estimate == pytest.approx(0.5)
    assert five.success.interval is not None
    assert five.success.interval.high - five.success.interval.low > 0.4
    text = compare([run("m", 9, 5, bank="b"), run("n", 3, 5)]).to_markdown()
    assert "tasks changing sign as wholes: p = 0.031" in text
    assert "60 pairs come from 12 tasks" in text


def test_several_arms_are_corrected_for_their_number() -> None:
    runs = [arm("a", [True] * 9 + [False], bank="b"), arm("c", [True] * 6 + [False] * 4, bank="b"), arm("n", [False] * 10)]
    first, second = compare(runs).comparisons
    assert (first.total.p_value, second.total.p_value) == (pytest.approx(2 / 2**9), pytest.approx(2 / 2**6))
    assert (first.p_holm, second.p_holm) == (pytest.approx(4 / 2**9), pytest.approx(2 / 2**6))
    assert "after Holm's correction 0.008" in compare(runs).to_markdown()
    assert compare(runs[1:]).comparisons[0].p_holm is None


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"max_steps": 20}, "step limits differ: 20 steps and the environment's own"),
        ({"environment": "moon"}, "different environments: moon and toy"),
        ({"split": "train"}, "tasks differ: split 'train' and None"),
        ({"limit": 3}, "tasks differ: limit 3 and None"),
        ({"shuffle": True, "seed": 1}, "shuffle True and None; seed 1 and None"),
    ],
)
def test_runs_that_say_nothing_together_are_not_paired(changes: dict[str, Any], words: str) -> None:
    with_, without = arm("m", [True] * 4, bank="b", **changes), arm("n", [False] * 5)
    report = compare([with_, without])
    assert report.comparisons == ()
    assert words in str(report.refusals[0])
    assert f"m was not compared with n: {report.refusals[0].reason}" in report.notes
    assert [one.total.n for one in report.arms] == [4, 5], "a report of what there is"


def test_the_environments_version_must_be_the_same() -> None:
    with_, without = arm("m", [True], bank="b"), arm("n", [False])
    old, new = replace(with_, versions={"fingerprint": "toy@1+a"}), replace(without, versions={"fingerprint": "toy@2+b"})
    assert "fingerprints differ (toy@1+a and toy@2+b)" in str(compare([old, new]).refusals[0])
    played = tuple(each.model_copy(update={"fingerprint": "toy@2+b"}) for each in with_.episodes)
    assert compare([replace(old, episodes=played), new]).refusals == (), "what the episodes themselves say counts"


def test_an_unfinished_run_is_compared_over_what_it_has() -> None:
    same = {"split": "test", "max_steps": 9}
    assert compare([arm("m", [True] * 3, bank="b", **same), arm("n", [False] * 8, **same)]).comparisons[0].total.paired.n == 3
    other = arm("n", [False] * 8, split="train", max_steps=9)
    report = compare([arm("m", [True] * 3, bank="b", **same), other], common_tasks=True)
    assert report.comparisons[0].total.paired.n == 3


def test_a_learning_run_is_never_the_arm_without_memory() -> None:
    learning, plain = arm("m", [True], learn="all"), arm("n", [False])
    assert compare([learning, plain]).baseline == "n"
    with pytest.raises(ConfigError, match="no agent without a bank"):
        compare([learning, arm("o", [True], learn="success")])


def test_where_no_baseline_is_clear_a_lenient_report_tells_what_there_is() -> None:
    report = compare([arm("a", [True], bank="b"), arm("c", [False], bank="b")], strict=False)
    assert (report.baseline, report.comparisons) == (None, ())
    assert "baseline is not clear" in report.notes[0]


def alfworld(name: str, type_: str, success: bool) -> Trajectory:
    task = Task(environment="alfworld", id=name, type=type_, split="valid_unseen")
    return Trajectory(task=task, success=success, score=float(success))


def test_results_are_told_by_the_groups_that_the_environment_names() -> None:
    easy = [alfworld(f"e{n}", "pick_and_place_simple", n < 3) for n in range(4)]
    hard = [alfworld(f"h{n}", "pick_two_obj_and_place", n < 1) for n in range(4)]
    lost = [alfworld(each.task.id, each.task.type, False) for each in (*easy, *hard)]
    report = compare([RunResult("m", {"bank": "b"}, {}, (*easy, *hard)), RunResult("n", {"bank": None}, {}, tuple(lost))])
    assert report.groups == ("easy", "hard")
    assert {name: part.solved for name, part in report.arms[0].groups.items()} == {"easy": 3, "hard": 1}
    assert {name: part.success.estimate for name, part in report.comparisons[0].groups.items()} == {"easy": 0.75, "hard": 0.25}
    assert report.arms[0].splits.keys() == {"valid_unseen"}
    lines = report.to_markdown().splitlines()
    assert any(line.startswith("| easy | 3/4") for line in lines)


def test_the_long_table_and_its_csv_hold_every_figure() -> None:
    runs = [arm("=m", [True, True, False], bank="b"), arm("n", [False, True, False])]
    report = compare(runs)
    table = report.table()
    difference = next(row for row in table if row["baseline"] and (row["by"], row["measure"]) == ("all", "success"))
    assert (difference["arm"], difference["n"], difference["p"]) == ("=m", 3, 1.0)
    assert difference["value"] == pytest.approx(1 / 3)
    rows = list(csv.DictReader(io.StringIO(report.to_csv())))
    assert len(rows) == len(table)
    assert rows[0]["arm"] == "'=m", "no spreadsheet takes a name for a formula"
    frame = pytest.importorskip("pandas") and report.to_frame()
    assert list(frame.columns) == list(table[0])
    assert len(frame) == len(table)


def test_a_notebook_shows_names_as_text() -> None:
    report = compare([arm("<img src=x>", [True], bank="b"), arm("n", [False])])
    shown = report._repr_html_()
    assert "<img" not in shown
    assert "&lt;img src=x&gt;" in shown
    assert "success +100.0" in shown


def test_many_arms_stand_in_rows() -> None:
    runs = [arm("none", [False] * 3), *(arm(f"m{n}", [True] * 3, bank="b") for n in range(5))]
    rows = [line for line in compare(runs).to_markdown().splitlines() if line.startswith("|")]
    assert max(line.count("|") for line in rows) < 12
