"""Runs that learn are read with the bank that they grew, by report, page and audit."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from exprag.bank import Bank
from exprag.environments.expert import play_expert
from exprag.errors import BankError, ConfigError
from exprag.evaluation import compare, load_run, write_page
from exprag.evaluation.audit import audit
from exprag.evaluation.recalled import read_recalled, recalled_ids
from exprag.runs import RunConfig, RunDirectory, run
from toy import Toy


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Three arms over the same tasks: without memory, learning from nothing, and learning on top of a bank of another task."""
    place = tmp_path_factory.mktemp("learning")
    toy = Toy()
    start = Bank.create(place / "start")
    start.add([play_expert(toy, next(iter(toy.tasks("train"))))])
    about = {"environment": "toy:Toy", "split": "test", "workers": 0, "k": 2, "max_steps": 5}
    arms = {
        "no-memory": {},
        "from-nothing": {"learn": "all", "learn_every": 2},
        "on-top": {"learn": "all", "learn_every": 2, "bank": start.uri},
    }
    for name, more in arms.items():
        run(RunConfig.make(**about, **more), place / name)
    return {name: place / name for name in arms}


def test_a_run_that_learns_is_not_the_arm_without_memory(folders: dict[str, Path]) -> None:
    report = compare([load_run(folder) for folder in folders.values()])
    assert report.baseline == "no-memory"
    with pytest.raises(ConfigError, match="no agent without a bank"):
        compare([load_run(folders["from-nothing"]), load_run(folders["on-top"])])


@pytest.mark.parametrize("name", ["from-nothing", "on-top"])
def test_what_a_run_learnt_and_recalled_is_on_its_page(folders: dict[str, Path], tmp_path: Path, name: str) -> None:
    result = load_run(folders[name])
    own = {episode.id for episode in RunDirectory(folders[name]).episodes()}
    assert recalled_ids(result) & own, "the run recalled none of its own episodes: the test shows nothing"
    recalled, problems = read_recalled([result])
    assert problems == []
    assert recalled.keys() == recalled_ids(result)
    page = write_page(tmp_path / "page.html", [result], recalled).read_text()
    data = json.loads(page.partition('id="data">')[2].partition("</script>")[0])
    assert data["recalled"].keys() == recalled_ids(result)


@pytest.mark.parametrize("name", ["from-nothing", "on-top"])
def test_a_run_that_learns_passes_the_audit_against_its_own_bank(folders: dict[str, Path], name: str) -> None:
    outcome = audit(folders[name])
    assert outcome.passed
    assert outcome.checked == 8
    assert outcome.recalls > 8


def test_the_bank_that_a_run_started_from_does_not_stand_in_for_its_own(folders: dict[str, Path], tmp_path: Path) -> None:
    folder = tmp_path / "copy"
    folder.mkdir()
    for name in ("config.json", "episodes.jsonl"):
        (folder / name).write_bytes((folders["on-top"] / name).read_bytes())
    with pytest.raises(BankError):
        audit(folder)
    recalled, problems = read_recalled([load_run(folder)])
    assert recalled == {}
    assert len(problems) == 1
    assert str(folder / "bank") in problems[0]
