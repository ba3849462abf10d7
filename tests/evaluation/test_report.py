"""Metrics, comparisons, and how they are written."""

from __future__ import annotations

import json
from dataclasses import replace
from io import StringIO
from pathlib import Path

import pytest
import typer
from evaluation.made import arm, episode, write_run
from rich.console import Console
from typer.testing import CliRunner

from exprag.bank import Bank
from exprag.cli.report import report as command
from exprag.errors import BankError, ConfigError, RunError
from exprag.evaluation import RunResult, compare, measure
from exprag.trajectory import EpisodeError, Recalled, Step, Trajectory, Usage


def shown(runs: list[RunResult], baseline: str | None = None, width: int = 200) -> str:
    out = StringIO()
    Console(file=out, width=width).print(compare(runs, baseline).to_console())
    return out.getvalue()


def test_metrics_of_an_arm() -> None:
    usage = [Usage(prompt=100, completion=5), Usage(prompt=200, completion=7)]
    steps = tuple(Step(observation="o", action="a", usage=told) for told in usage)
    metered = episode("1", True, seconds=4.0).model_copy(update={"steps": steps})
    broken = episode("2", False, score=None, seconds=2.0, ended="error", error=EpisodeError(boundary="model", message="gone"))
    found = measure([metered, broken, episode("3", None, steps=5, ended="truncated")])
    assert (found.n, found.solved, found.unknown, found.scored, found.metered) == (3, 1, 1, 1, 1)
    assert found.success == pytest.approx(1 / 3)
    assert found.score == 1.0
    assert found.steps == pytest.approx(3.0)
    assert (found.prompt_tokens, found.completion_tokens, found.tokens) == (300, 12, 312)
    assert found.seconds == 3.0
    assert found.endings == {"error": 1, "terminated": 1, "truncated": 1}
    assert found.errors == {"model": 1}


def test_metrics_of_nothing() -> None:
    found = measure([])
    assert (found.n, found.success, found.interval, found.score, found.steps, found.tokens) == (0, None, None, None, None, None)


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
    found = measure([episode("1", True).model_copy(update={"steps": steps}), looping("2", 2), looping("3", 3)])
    assert (found.repaired_turns, found.invalid_actions, found.loops) == (1 + 2 + 3, 2, 1)
    assert (measure([]).repaired_turns, measure([]).invalid_actions, measure([]).loops) == (0, 0, 0)


def test_the_counts_of_an_arm_are_in_table_and_json() -> None:
    run = RunResult("m", {}, {}, (looping("1", 3), looping("2", 1)))
    lines = compare([run]).to_markdown().splitlines()
    assert "| arm | turns | repaired | not understood | episodes in a loop |" in lines
    assert "| m | 8 | 4 (50 %) | 0 | 1 (50 %) |" in lines
    assert "4 (50 %)" in shown([run], width=80)
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
    (found,) = compare([RunResult("m", {"bank": "b", "agent": {"strategy": "booby_trap:Strategy"}})]).arms
    assert found.refresh is None


def test_the_baseline_is_the_agent_without_a_bank() -> None:
    runs = [arm("with", [True], bank="b"), arm("without", [False]), arm("experts", [True], policy="expert")]
    found = compare(runs)
    assert found.baseline == "without"
    assert [(c.arm, c.baseline) for c in found.comparisons] == [("with", "without"), ("experts", "without")]
    assert compare(runs, "with").baseline == "with"
    assert "not corrected" in found.notes[-1]


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
    found = compare(runs)
    whole = found.comparisons[0].total
    assert (whole.paired.both, whole.paired.arm_only, whole.paired.baseline_only, whole.paired.neither) == (36, 12, 2, 0)
    assert whole.success.estimate == pytest.approx(0.2)
    assert whole.success.interval is not None
    assert whole.success.interval.low == pytest.approx(0.0569, abs=5e-5)
    assert whole.score.estimate == pytest.approx(0.2)
    assert (whole.steps.estimate, whole.steps.interval) == (0.0, None)
    assert "+20.0 [+5.7, +34.0] points" in shown(runs)


def test_the_interval_is_said_to_exclude_zero_or_not() -> None:
    without = arm("n", [False] * 20)
    assert "the interval excludes zero" in shown([arm("m", [True] * 15 + [False] * 5, bank="b"), without])
    assert "does not exclude zero" in shown([arm("m", [True] + [False] * 19, bank="b"), without])
    assert "the interval excludes zero" in shown([arm("m", [False] * 20, bank="b"), arm("n", [True] * 15 + [False] * 5)])


def test_episodes_without_a_counterpart_are_told_and_in_no_difference() -> None:
    with_, without = arm("m", [True] * 6, bank="b"), arm("n", [False] * 4)
    found = compare([with_, without]).comparisons[0].total
    assert (found.paired.n, found.only_arm, found.only_baseline) == (4, 2, 0)
    assert "2 only in m, 0 only in n" in shown([with_, without])
    apart = RunResult("n", without.config, {}, tuple(episode(f"x{n}", True) for n in range(3)))
    assert "no task was played by both" in shown([with_, apart])


def test_what_weakens_a_result_is_noted() -> None:
    first = arm("m", [True, None, False], bank="b")
    seeds = tuple(episode("1", True, seed=n) for n in range(3))
    broken = episode("2", False, ended="error", error=EpisodeError(boundary="environment", message="died"))
    told = shown([first, arm("n", [True, True, True])])
    assert "1 of 3 outcomes are unknown" in told
    assert "1 of 3 episodes have no score" in told
    told = shown([RunResult("m", {"bank": "b"}, {}, (*seeds, broken)), RunResult("n", {"bank": None}, {}, (*seeds, broken))])
    assert "4 pairs come from 2 tasks" in told
    assert "1 of 4 episodes broke off with an error of the environment" in told
    old = replace(first, episodes=tuple(e.model_copy(update={"fingerprint": "1"}) for e in first.episodes))
    new = replace(arm("n", [True]), episodes=(episode("9", True, fingerprint="2"),))
    assert "fingerprints differ" in shown([old, new])
    assert "fingerprints differ" not in shown([old, replace(new, episodes=(episode("9", True, fingerprint="1"),))])
    assert "m has no finished episode" in shown([arm("m", [])])


def test_types_that_only_one_arm_played_are_shown() -> None:
    one = RunResult("m", {"bank": "b"}, {}, (episode("1", True, type="boil"), episode("2", True, type="melt")))
    two = RunResult("n", {"bank": None}, {}, (episode("1", False, type="boil"), episode("3", False, type="")))
    found = compare([one, two])
    assert found.types == ("", "boil", "melt")
    assert {t: c.paired.n for t, c in found.comparisons[0].types.items()} == {"": 0, "boil": 1, "melt": 0}
    assert "(no type)" in shown([one, two])


def test_json_and_markdown_hold_the_whole_report() -> None:
    runs = [arm("m|<b>", [True, True, False], bank="b"), arm("n", [False, True, False])]
    found = compare(runs)
    data = json.loads(found.to_json())
    assert data["comparisons"][0]["total"]["paired"] == {"both": 1, "arm_only": 1, "baseline_only": 0, "neither": 1}
    assert data["arms"][1]["total"]["solved"] == 1
    lines = found.to_markdown().splitlines()
    rows = [line for line in lines if line.startswith("|")]
    assert {line.replace("\\|", "").count("|") for line in rows} == {10, 6, 7}
    assert "<b>" not in found.to_markdown()
    assert any("+33.3" in line for line in lines)


def test_names_are_not_markup_in_the_console() -> None:
    assert "[red]m[/red]" in shown([arm("[red]m[/red]", [True], bank="[b]"), arm("[/]", [False])])


def test_names_send_no_escape_sequence_to_the_terminal() -> None:
    runs = [arm("\x1b[2J\x9bm", [True], bank="b"), arm("n\x07", [False])]
    for text in (shown(runs), compare(runs).to_markdown(), compare(runs).to_json()):
        assert not set(text) & {"\x1b", "\x07", "\x9b"}


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


def test_real_episodes(real: tuple[list[RunResult], dict[str, Trajectory]]) -> None:
    runs, _ = real
    found = compare(runs)
    assert [a.total.n for a in found.arms] == [139, 139]
    assert found.arms[1].total.solved == 115
    whole = found.comparisons[0].total
    assert whole.paired.baseline_only == 0
    assert sum(c.paired.n for c in found.comparisons[0].types.values()) == whole.paired.n == 139
    assert whole.success.interval is not None
    assert whole.success.interval.excludes_zero


# -- the command


def cli(*arguments: object) -> str:
    app = typer.Typer()
    app.command()(command)
    done = CliRunner().invoke(app, [str(a) for a in arguments], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.stdout


def test_the_command_prints_tables_json_or_markdown(tmp_path: Path) -> None:
    with_ = write_run(tmp_path / "m", arm("memory", [True] * 15 + [False] * 5, bank="gone"))
    without = write_run(tmp_path / "n", arm("no-memory", [False] * 20))
    assert "excludes zero" in cli(with_, without)
    assert json.loads(cli(with_, without, "--json"))["baseline"] == "no-memory"
    assert json.loads(cli(with_, without, "--json", "--baseline", "memory"))["baseline"] == "memory"
    assert cli(with_, without, "--markdown").startswith("**Arms")
    with pytest.raises(ConfigError, match="--json and --markdown"):
        cli(with_, "--json", "--markdown")
    with pytest.raises(RunError, match="no run directory"):
        cli(tmp_path / "nothing")


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
    assert "step by step" in cli(folder, "--html", page)
    assert "do experience" in page.read_text()

    lost = write_run(tmp_path / "lost", replace(run, config={**run.config, "bank": str(tmp_path / "moved")}, episodes=episodes))
    assert "without their text" in cli(lost, "--html", page)
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
    assert opened == ["s3://someone/bank"]


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
