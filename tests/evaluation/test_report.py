"""Metrics, comparisons, and how they are written."""

from __future__ import annotations

import json
from dataclasses import replace
from io import StringIO
from pathlib import Path

import pytest
from evaluation.material import arm, episode
from rich.console import Console

from exprag.errors import ConfigError
from exprag.evaluation import RunResult, compare, measure
from exprag.trajectory import EpisodeError, Step, Trajectory, Usage


def printed(runs: list[RunResult], baseline: str | None = None, width: int = 200) -> str:
    out = StringIO()
    Console(file=out, width=width).print(compare(runs, baseline).to_console())
    return out.getvalue()


def test_metrics_of_an_arm() -> None:
    usage = [Usage(prompt=100, completion=5), Usage(prompt=200, completion=7)]
    steps = tuple(Step(observation="o", action="a", usage=call) for call in usage)
    metered = episode("1", True, seconds=4.0).model_copy(update={"steps": steps})
    broken = episode("2", False, score=None, seconds=2.0, ended="error", error=EpisodeError(boundary="model", message="gone"))
    metrics = measure([metered, broken, episode("3", None, steps=5, ended="truncated")])
    assert (metrics.n, metrics.solved, metrics.unknown, metrics.scored, metrics.metered) == (3, 1, 1, 1, 1)
    assert metrics.success == pytest.approx(1 / 3)
    assert metrics.score == 1.0
    assert metrics.steps == pytest.approx(3.0)
    assert (metrics.prompt_tokens, metrics.completion_tokens, metrics.tokens) == (300, 12, 312)
    assert metrics.seconds == 3.0
    assert metrics.endings == {"error": 1, "terminated": 1, "truncated": 1}
    assert metrics.errors == {"model": 1}


def test_metrics_of_nothing() -> None:
    metrics = measure([])
    assert metrics.n == 0
    assert (metrics.success, metrics.interval, metrics.score, metrics.steps, metrics.tokens) == (None,) * 5


def looping(task: str, times: int) -> Trajectory:
    """An episode that goes to and fro between two rooms, `times` times each way."""
    there, back = Step(observation="hall", action="go in"), Step(observation="room", action="go out", note="a tag came off")
    return episode(task, False).model_copy(update={"steps": (there, back) * times})


def test_notes_invalid_actions_and_loops_are_counted() -> None:
    steps = (
        Step(observation="o", action="frob", valid=False, note="its last line was taken"),
        Step(observation="o", action="look", valid=True),
        Step(observation="p", action="", valid=False, note=""),
    )
    metrics = measure([episode("1", True).model_copy(update={"steps": steps}), looping("2", 2), looping("3", 3)])
    assert (metrics.repaired_turns, metrics.invalid_actions, metrics.loops) == (1 + 2 + 3, 2, 1)
    assert (measure([]).repaired_turns, measure([]).invalid_actions, measure([]).loops) == (0, 0, 0)


def test_the_counts_of_an_arm_are_in_table_and_json() -> None:
    run = RunResult("m", {}, {}, (looping("1", 3), looping("2", 1)))
    lines = compare([run]).to_markdown().splitlines()
    assert "| arm | turns | repaired | not understood | episodes in a loop |" in lines
    assert "| m | 8 | 4 (50 %) | 0 | 1 (50 %) |" in lines
    assert "4 (50 %)" in printed([run], width=80)
    total = json.loads(compare([run]).to_json())["arms"][0]["total"]
    assert (total["repaired_turns"], total["invalid_actions"], total["loops"]) == (4, 0, 1)


def test_an_arm_says_when_its_bank_was_asked() -> None:
    configs = [
        {"bank": "b", "agent": {"strategy": "trajectory", "refresh": None}},
        {"bank": "b", "agent": {"strategy": "task"}},
        {"bank": "b", "agent": {"strategy": "task", "refresh": "every_3_steps"}},
        {"bank": "b", "strategy": "trajectory"},  # as version 0.1 wrote it
        {"bank": None, "agent": {"strategy": "task"}},
        {"bank": "b", "agent": {"strategy": "nobody_has_this"}},
    ]
    arms = compare([RunResult(str(n), config) for n, config in enumerate(configs)], baseline="0").arms
    assert [arm.refresh for arm in arms] == ["every_step", "once", "every_3_steps", "every_step", None, None]


def test_no_code_of_a_configuration_is_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "booby_trap.py").write_text("raise SystemExit('imported')")
    monkeypatch.syspath_prepend(str(tmp_path))
    (report,) = compare([RunResult("m", {"bank": "b", "agent": {"strategy": "booby_trap:Strategy"}})]).arms
    assert report.refresh is None


def test_the_baseline_is_the_agent_without_a_bank() -> None:
    runs = [arm("with", [True], bank="b"), arm("without", [False]), arm("experts", [True], policy="expert")]
    report = compare(runs)
    assert report.baseline == "without"
    assert [(c.arm, c.baseline) for c in report.comparisons] == [("with", "without"), ("experts", "without")]
    assert compare(runs, "with").baseline == "with"
    assert "not corrected" in report.notes[-1]


def test_a_baseline_that_is_not_clear_has_to_be_named() -> None:
    with pytest.raises(ConfigError, match=r"2 arms have no bank.*--baseline: a, b"):
        compare([arm("a", [True]), arm("b", [True])])
    with pytest.raises(ConfigError, match="no agent without a bank"):
        compare([arm("a", [True], bank="b"), arm("b", [True], bank="b")])
    with pytest.raises(ConfigError, match="Did you mean 'no-memory'"):
        compare([arm("no-memory", [True])], "no_memory")
    with pytest.raises(ConfigError, match="no run"):
        compare([])


def test_a_contrast_counts_every_pair_once() -> None:
    outcomes = [(True, True)] * 36 + [(True, False)] * 12 + [(False, True)] * 2
    runs = [arm("m", [a for a, _ in outcomes], bank="b"), arm("n", [b for _, b in outcomes])]
    report = compare(runs)
    whole = report.comparisons[0].total
    assert (whole.paired.both, whole.paired.arm_only, whole.paired.baseline_only, whole.paired.neither) == (36, 12, 2, 0)
    assert whole.success.estimate == pytest.approx(0.2)
    assert whole.success.interval is not None
    assert whole.success.interval.low == pytest.approx(0.0569, abs=5e-5)
    assert whole.score.estimate == pytest.approx(0.2)
    assert (whole.steps.estimate, whole.steps.interval) == (0.0, None)
    assert "+20.0 [+5.7, +34.0] points" in printed(runs)


def test_the_interval_is_said_to_exclude_zero_or_not() -> None:
    without = arm("n", [False] * 20)
    assert "the interval excludes zero" in printed([arm("m", [True] * 15 + [False] * 5, bank="b"), without])
    assert "does not exclude zero" in printed([arm("m", [True] + [False] * 19, bank="b"), without])
    assert "the interval excludes zero" in printed([arm("m", [False] * 20, bank="b"), arm("n", [True] * 15 + [False] * 5)])


def test_episodes_without_a_counterpart_are_told_and_in_no_difference() -> None:
    with_, without = arm("m", [True] * 6, bank="b"), arm("n", [False] * 4)
    report = compare([with_, without]).comparisons[0].total
    assert (report.paired.n, report.only_arm, report.only_baseline) == (4, 2, 0)
    assert "2 only in m, 0 only in n" in printed([with_, without])
    apart = RunResult("n", without.config, {}, tuple(episode(f"x{n}", True) for n in range(3)))
    assert "no task was played by both" in printed([with_, apart])


def test_what_weakens_a_result_is_noted() -> None:
    first = arm("m", [True, None, False], bank="b")
    seeds = tuple(episode("1", True, seed=n) for n in range(3))
    broken = episode("2", False, ended="error", error=EpisodeError(boundary="environment", message="died"))
    text = printed([first, arm("n", [True, True, True])])
    assert "1 of 3 outcomes are unknown" in text
    assert "1 of 3 episodes have no score" in text
    text = printed([RunResult("m", {"bank": "b"}, {}, (*seeds, broken)), RunResult("n", {"bank": None}, {}, (*seeds, broken))])
    assert "4 pairs come from 2 tasks" in text
    assert "1 of 4 episodes broke off with an error of the environment" in text
    old = replace(first, episodes=tuple(e.model_copy(update={"fingerprint": "1"}) for e in first.episodes))
    new = replace(arm("n", [True]), episodes=(episode("9", True, fingerprint="2"),))
    assert "fingerprints differ" in printed([old, new])
    assert "fingerprints differ" not in printed([old, replace(new, episodes=(episode("9", True, fingerprint="1"),))])
    assert "m has no finished episode" in printed([arm("m", [])])


def test_types_that_only_one_arm_played_are_shown() -> None:
    one = RunResult("m", {"bank": "b"}, {}, (episode("1", True, type="boil"), episode("2", True, type="melt")))
    two = RunResult("n", {"bank": None}, {}, (episode("1", False, type="boil"), episode("3", False, type="")))
    report = compare([one, two])
    assert report.types == ("", "boil", "melt")
    assert {t: c.paired.n for t, c in report.comparisons[0].types.items()} == {"": 0, "boil": 1, "melt": 0}
    assert "(no type)" in printed([one, two])


def test_json_and_markdown_hold_the_whole_report() -> None:
    runs = [arm("m|<b>", [True, True, False], bank="b"), arm("n", [False, True, False])]
    report = compare(runs)
    data = json.loads(report.to_json())
    assert data["comparisons"][0]["total"]["paired"] == {"both": 1, "arm_only": 1, "baseline_only": 0, "neither": 1}
    assert data["arms"][1]["total"]["solved"] == 1
    lines = report.to_markdown().splitlines()
    rows = [line for line in lines if line.startswith("|")]
    assert {line.replace("\\|", "").count("|") for line in rows} == {10, 6, 7, 4}
    assert "<b>" not in report.to_markdown()
    assert any("+33.3" in line for line in lines)


def test_names_are_not_markup_in_the_console() -> None:
    assert "[red]m[/red]" in printed([arm("[red]m[/red]", [True], bank="[b]"), arm("[/]", [False])])


def test_names_send_no_escape_sequence_to_the_terminal() -> None:
    runs = [arm("\x1b[2J\x9bm", [True], bank="b"), arm("n\x07", [False])]
    for text in (printed(runs), compare(runs).to_markdown(), compare(runs).to_json()):
        assert not set(text) & {"\x1b", "\x07", "\x9b"}


def test_real_episodes(real: tuple[list[RunResult], dict[str, Trajectory]]) -> None:
    runs, _ = real
    report = compare(runs)
    assert [a.total.n for a in report.arms] == [139, 139]
    assert report.arms[1].total.solved == 115
    whole = report.comparisons[0].total
    assert whole.paired.baseline_only == 0
    assert sum(c.paired.n for c in report.comparisons[0].types.values()) == whole.paired.n == 139
    assert whole.success.interval is not None
    assert whole.success.interval.excludes_zero
