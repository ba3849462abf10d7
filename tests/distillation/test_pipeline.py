"""The pipeline of hint distillation, played for real on made-up homes: what a stage writes, and that it goes on after a kill."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from command_line import call
from hints_material import play, settings

from exprag.bank import Bank
from exprag.bank.items import Items, to_document
from exprag.distillation.outcome import outcomes
from exprag.distillation.review import review
from exprag.distillation.student import leaks
from exprag.distillation.writing import read_lines
from exprag.environments.expert import play_expert
from exprag.errors import ConfigError, RunError
from exprag.evaluation import load_run
from exprag.evaluation.audit import audit
from exprag.items import Item, ItemSource
from exprag.plugins import create
from exprag.prompt.hint_block import HINTS, hint_ids
from exprag.training import read_rows


def test_every_stage_writes_what_the_next_one_reads(distillation: Path) -> None:
    names = {path.name for path in distillation.iterdir()}
    assert {"distill.json", "tasks.json", "base", "selection.json", "expert", "distilled.jsonl", "bank", "teacher"} <= names
    assert {"teacher.json", "rows", "held-out", "report.json", "report.html", "tokens.png"} <= names
    assert (distillation / "tokens.png").read_bytes().startswith(b"\x89PNG")
    assert "<svg" in (distillation / "report.html").read_text()
    tasks = json.loads((distillation / "tasks.json").read_text())
    assert (len(tasks["extract"]), len(tasks["held_out"])) == (6, 4)
    assert not set(tasks["extract"]) & set(tasks["held_out"])


def test_hints_beat_the_base_agent_on_tasks_held_out(distillation: Path) -> None:
    base, one, three = outcomes(distillation / "held-out")
    assert [base.arm, one.arm, three.arm] == ["base", "hints-1", "hints-3"]
    assert base.success == 0
    assert three.success >= 0.75
    assert three.difference is not None
    assert three.difference.interval is not None
    assert three.difference.interval.low > 0


def test_hints_know_the_failures_they_came_from(distillation: Path) -> None:
    failures = {episode.id for episode in load_run(distillation / "base").episodes if not episode.success}
    items = list(Items(Bank.open(distillation / "bank")))
    assert items
    assert all(source.episode in failures for item in items for source in item.sources)
    course = max(items, key=lambda item: len(item.sources))
    assert course.text == "Do in order: take {object} from {any receptacle}; move {object} to {receptacle}."
    assert course.distiller == "expert"


def test_a_teachers_episode_says_which_hints_it_read_and_none_is_of_its_own_task(distillation: Path) -> None:
    items = {item.id: item for item in Items(Bank.open(distillation / "bank"))}
    for episode in load_run(distillation / "teacher").episodes:
        ids = hint_ids(episode)
        assert 1 <= len(ids) <= 3
        for id in ids:
            assert any(source.task != episode.task.key for source in items[id].sources)


def test_a_students_rows_hold_neither_hints_nor_examples_and_everything_else(distillation: Path) -> None:
    rows = list(read_rows(distillation / "rows" / "distill.jsonl"))
    teacher = {episode.id: episode for episode in load_run(distillation / "teacher").episodes}
    assert rows
    assert leaks(rows, [item.text for item in Items(Bank.open(distillation / "bank"))]) == []
    for row in rows:
        episode = teacher[row["trajectory"]]
        observations = [message["content"] for message in row["messages"] if message["role"] == "user"]
        turns = [message["content"] for message in row["messages"] if message["role"] == "assistant"]
        assert observations[0] == episode.steps[0].observation  # the first observation stays
        assert observations == [step.observation for step in episode.steps]  # nothing is cut
        assert turns == episode.actions
        assert row["messages"][0]["content"].endswith(f"Your task: {episode.task.instruction}")
    assert audit(distillation / "rows" / "distill.jsonl").passed


def test_the_audit_sees_a_hint_block_in_rows_that_should_have_none(distillation: Path, tmp_path: Path) -> None:
    source, copy = distillation / "rows" / "distill.jsonl", tmp_path / "rows.jsonl"
    lines = [json.loads(line) for line in source.read_text().splitlines()]
    lines[0]["messages"][0]["content"] += f"\n\n{HINTS}\n- Look first."
    copy.write_text("".join(json.dumps(line) + "\n" for line in lines))
    (tmp_path / "rows.jsonl.dataset.json").write_text((distillation / "rows" / "distill.jsonl.dataset.json").read_text())
    result = audit(copy)
    assert not result.passed
    assert "a hint block" in str(result.offences[0])
    assert leaks(lines, ["look   first."]) == [f"{lines[0]['id']}: a hint block"]


def test_the_audit_proves_that_no_hint_came_from_the_task_alone(distillation: Path, tmp_path: Path) -> None:
    result = audit(distillation / "teacher")
    assert result.passed
    assert result.recalls >= 6
    shutil.copytree(distillation / "bank", tmp_path / "bank")
    bank = Bank.open(tmp_path / "bank")
    items = Items(bank)
    episode = load_run(distillation / "teacher").episodes[0]
    item = next(item for item in items if item.id == hint_ids(episode)[0])
    own = ItemSource(episode="e", task=episode.task.key)
    items.documents.add([to_document(item.model_copy(update={"sources": (own,)}))])
    assert audit(distillation / "teacher", bank.uri).passed  # the hints are those of the version that was read
    shutil.copytree(distillation / "teacher", tmp_path / "teacher")
    path = tmp_path / "teacher" / "episodes.jsonl"
    before, after = (f'"bank_version":{version}' for version in (episode.provenance.bank_version, bank.version))
    assert before in path.read_text()
    path.write_text(path.read_text().replace(before, after))
    offences = [str(offence) for offence in audit(tmp_path / "teacher", bank.uri).offences]
    assert any(episode.id in offence and "comes from the task itself" in offence for offence in offences)


def test_review_pairs_each_hint_with_the_same_tasks_without_it(distillation: Path) -> None:
    episodes = [e for arm in ("base", "hints-3") for e in load_run(distillation / "held-out" / arm).episodes]
    credits = review(Items(Bank.open(distillation / "bank")), episodes)
    course = next(credit for credit in credits if credit.item.text.startswith("Do in order"))
    assert (course.used, course.paired) == (4, 4)
    assert course.won + course.lost == 4
    assert (course.gained, course.spoilt) == (course.won, 0)
    assert course.verdict == "helps"


def test_the_same_call_plays_nothing_again(distillation: Path) -> None:
    before = {path: path.read_bytes() for path in distillation.rglob("*.jsonl")}
    play(settings(ablation=[1]), distillation, "A", "hints", "teacher", "D")
    assert {path: path.read_bytes() for path in distillation.rglob("*.jsonl")} == before


def test_how_it_is_played_is_no_other_distillation(distillation: Path) -> None:
    config = settings()
    play(config.changed(run=config.run.changed(workers=0, budget_tokens=10**9, step_timeout=77.0)), distillation, "A")
    with pytest.raises(RunError, match=r"another distillation: run\.max_steps"):
        play(config.changed(run=config.run.changed(max_steps=3)), distillation, "A")


def test_a_folder_of_another_distillation_is_refused(distillation: Path) -> None:
    with pytest.raises(RunError, match="another distillation: threshold"):
        play(settings(threshold=0.5), distillation)


@pytest.mark.parametrize(("stage", "message"), [("B", "base was not played"), ("teacher", "distilled.jsonl is missing")])
def test_a_stage_without_its_input_says_which_one_to_run(stage: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=message):
        play(settings(extract=1, held_out=0), tmp_path / "out", stage)
    with pytest.raises(ConfigError, match="no stage 'E'"):
        play(settings(extract=1), tmp_path / "out", "E")


def test_no_failures_no_successes_and_no_tasks_left_are_said_and_the_pipeline_goes_on(tmp_path: Path) -> None:
    everything = settings(extract=2, held_out=1, threshold=-1.0, max_invalid=100, max_repeats=100, run={"max_steps": 2})
    lines = play(everything, tmp_path / "won", "A", "B", "C", "D")
    assert "base: 2 success" in lines
    assert any("no failures to write from" in line for line in lines)
    assert any(line.startswith("rows:") and "control.jsonl: 2 rows" in line for line in lines)
    lost = settings(extract=2, held_out=1, run={"max_steps": 2, "task_ids": _ids(2)})
    lines = play(lost, tmp_path / "lost", "A", "B", "C", "D", "held-out")
    assert any("no task is left to compare on" in line for line in lines)
    assert "rows: none for distill: teacher has no episode to learn from" in lines
    assert "rows: none for control: base has no episode to learn from" in lines


def _ids(count: int) -> list[str]:
    return [f"train/pick_and_place_simple/{number:04}" for number in range(count)]


@pytest.mark.slow
def test_killed_in_the_middle_of_stage_b_the_same_command_goes_on(tmp_path: Path) -> None:
    """The third call of the distiller kills the process with SIGKILL, once. Calls whose line is whole are not made again."""
    (tmp_path / "deadly.py").write_text(
        textwrap.dedent(
            """
            import os, signal
            from pathlib import Path
            from exprag_distillers.feedback import Feedback

            class Deadly(Feedback):
                def distill(self, episodes, others=(), items=()):
                    with open("calls.txt", "a") as calls:
                        calls.write(episodes[0].id + "\\n")
                    if len(Path("calls.txt").read_text().splitlines()) == 3:
                        os.kill(os.getpid(), signal.SIGKILL)
                    return super().distill(episodes, others, items)
            """
        )
    )
    (tmp_path / "hints.toml").write_text(
        'extract = 4\nheld_out = 0\n[run]\nenvironment = "alfworld-generated"\nsplit = "train"\nworkers = 0\nmax_steps = 8\n'
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), *filter(None, sys.path)])}
    command = [sys.executable, "-m", "exprag", "distill", "hints.toml", "--out", "out", "--stage", "A,B,C"]
    command += ["--distiller", "deadly:Deadly"]
    killed = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, check=False)
    assert killed.returncode == -signal.SIGKILL
    assert len(read_lines(tmp_path / "out" / "distilled.jsonl")) == 2
    again = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert again.returncode == 0, again.stderr
    ids = (tmp_path / "calls.txt").read_text().splitlines()
    assert ids[2] == ids[3]  # the call that was killed is made again, and no other
    assert len(ids) == 5
    assert [line["episodes"] for line in read_lines(tmp_path / "out" / "distilled.jsonl")] == [[id] for id in dict.fromkeys(ids)]
    assert len(Items(Bank.open(tmp_path / "out" / "bank"))) > 0


def test_the_commands_list_review_and_retire_hints(tmp_path: Path) -> None:
    bank = Bank.create(tmp_path / "bank")
    Items(bank).add([Item(text="Look first.", environment="toy", type="fetch")])
    (item,) = Items(bank)
    listed = json.loads(call("hints", "list", str(tmp_path / "bank"), "--json").stdout)
    assert [row["text"] for row in listed] == ["Look first."]
    call("hints", "retire", str(tmp_path / "bank"), item.id, "--reason", "it harms")
    (retired,) = Items(bank)
    assert retired.retired == "it harms"
    assert not retired.usable


@pytest.mark.slow
def test_a_teacher_with_memory_and_hints_and_a_student_without_both(tmp_path: Path) -> None:
    """The run's own bank stays as it was: hints go into a copy. Trajectories and hints stand in one prompt."""
    environment = create("environment", "alfworld-generated")
    tasks = list(environment.tasks("train", ["pick_and_place_simple"]))[20:24]
    bank = Bank.create(tmp_path / "bank")
    bank.add([play_expert(environment, task, seed=1, run="bank") for task in tasks])
    agent = {"k": 1, "memory_budget": 600}
    run = {"bank": bank.uri, "agent": agent, "max_steps": 8}
    config = settings(extract=3, held_out=0, threshold=-1.0, max_invalid=99, distiller="workflows", run=run)
    play(config, tmp_path / "out", "A", "B", "C", "D")
    assert len(Items(Bank.open(tmp_path / "bank"))) == 0
    for episode in load_run(tmp_path / "out" / "teacher").episodes:
        assert hint_ids(episode)
        assert episode.steps[0].recalled
    for row in read_rows(tmp_path / "out" / "rows" / "distill.jsonl"):
        system = row["messages"][0]["content"]
        assert "<experience" not in system
        assert HINTS not in system
    assert audit(tmp_path / "out" / "teacher").passed
