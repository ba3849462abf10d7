"""Run directories read back, and episodes paired."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from evaluation.material import arm, episode, write_run

from exprag.errors import RecordError, RunError
from exprag.evaluation import RunResult, load_run
from exprag.evaluation.pairing import pair
from exprag.evaluation.results import distinct


def test_a_run_is_read_back(tmp_path: Path) -> None:
    config = {"name": "memory", "environment": "toy", "bank": "b", "novel": [1]}
    run = RunResult("memory", config, {"python": "3"}, (episode("1", True),))
    assert load_run(write_run(tmp_path / "somewhere", run)) == run


def test_the_folder_names_a_run_without_a_name(tmp_path: Path) -> None:
    assert load_run(write_run(tmp_path / "folder", RunResult("", {"environment": "toy"}))).name == "folder"


def test_a_killed_run_gives_its_whole_episodes(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run", arm("a", [True, False]))
    path = folder / "episodes.jsonl"
    path.write_bytes(path.read_bytes()[:-20])
    assert [e.task.id for e in load_run(folder).episodes] == ["000"]
    path.unlink()
    (folder / "versions.json").unlink()
    assert load_run(folder).episodes == ()


def test_what_is_no_run_directory_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"no run directory .*nowhere.* Give the folder"):
        load_run(tmp_path / "nowhere")
    with pytest.raises(RunError, match=r"no config\.json"):
        load_run(tmp_path)
    config = tmp_path / "config.json"
    for text, message in [("{", "not valid JSON"), ("[]", "no JSON object"), ('{"model_type": "qwen2"}', "names no environment")]:
        config.write_text(text)
        with pytest.raises(RunError, match=message):
            load_run(tmp_path)


def test_a_corrupt_episode_is_told_with_its_line(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run", arm("a", [True]))
    with open(folder / "episodes.jsonl", "a") as out:
        out.write(json.dumps({"task": {}}) + "\n")
    with pytest.raises(RecordError, match=r"episodes\.jsonl, line 2"):
        load_run(folder)


def test_a_task_played_twice_with_one_seed_is_read_once(tmp_path: Path) -> None:
    twice = (episode("1", True, seed=1), episode("2", False, seed=1), episode("1", False, seed=1), episode("1", False, seed=2))
    run = load_run(write_run(tmp_path / "run", RunResult("m", {"environment": "toy"}, {}, twice)))
    assert [(e.task.id, e.success, e.provenance.seed) for e in run.episodes] == [("1", True, 1), ("2", False, 1), ("1", False, 2)]
    assert run.repeated == 1


def test_a_file_is_no_run_directory(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(RunError, match="file is a file, not a run directory"):
        load_run(tmp_path / "file")
    with pytest.raises(RunError, match="There is no run directory"):
        load_run("a" * 5000)


def test_a_run_that_learns_reads_its_own_bank(tmp_path: Path) -> None:
    config = {"environment": "toy", "bank": "start", "bank_version": 3, "learn": "success"}
    run = load_run(write_run(tmp_path / "run", RunResult("m", config)))
    assert run.bank == str(tmp_path / "run" / "bank")
    assert RunResult("m", {"environment": "toy", "learn": "all"}).has_memory
    assert not RunResult("m", {"environment": "toy", "learn": "none"}).has_memory


def test_repeated_names_are_told_apart() -> None:
    named = [run.name for run in distinct([arm(name, []) for name in ("a", "b", "a", "a #2", "a")])]
    assert len(set(named)) == 5
    assert named[:3] == ["a", "b", "a #3"]


def test_pairs_are_made_by_task_whatever_the_order_and_seed() -> None:
    ours = [episode("1", True, seed=1), episode("2", True, seed=1), episode("3", True, seed=1)]
    theirs = [episode("4", False, seed=2), episode("2", False, seed=2), episode("1", False, seed=2)]
    pairing = pair(ours, theirs)
    assert [(a.task.id, b.task.id) for a, b in pairing.pairs] == [("1", "1"), ("2", "2")]
    assert [e.task.id for e in pairing.only_arm] == ["3"]
    assert [e.task.id for e in pairing.only_baseline] == ["4"]


def test_repetitions_are_paired_by_seed_then_by_order() -> None:
    ours = [episode("1", True, seed=1, steps=1), episode("1", True, seed=2, steps=2), episode("1", True, seed=2, steps=3)]
    theirs = [episode("1", True, seed=2, steps=4), episode("1", True, seed=3, steps=5), episode("1", True, seed=1, steps=6)]
    pairing = pair(ours, theirs)
    assert {(len(a.steps), len(b.steps)) for a, b in pairing.pairs} == {(1, 6), (2, 4)}
    assert [len(e.steps) for e in pairing.only_arm] == [3]
    assert [len(e.steps) for e in pairing.only_baseline] == [5]
    assert len(pair(ours, ours).pairs) == 3
