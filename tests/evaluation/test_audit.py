"""The audit finds what slipped through, in runs and in training sets; here it is made to slip through on purpose."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from command_line import exprag

from exprag.bank import Bank
from exprag.environments.expert import play_expert
from exprag.errors import BankError, ConfigError
from exprag.evaluation.audit import Audit, audit
from exprag.plugins import Component, registry
from exprag.retrieval import Retriever
from exprag.runs import RunConfig, RunDirectory, run
from exprag.training import DataConfig, build_rows, write_dataset
from exprag.trajectory import Trajectory
from toy import Toy


class Grouped(Toy):
    """Toy, whose train and test tasks of one thing are of one group."""

    def tasks(self, split: str, types: Any = None) -> Any:
        for task in super().tasks(split, types):
            yield task.model_copy(update={"group": str(task.metadata["thing"])})


@pytest.fixture
def toy_plugin(monkeypatch: pytest.MonkeyPatch) -> None:
    component = Component("environment", "toy", Grouped, "tests")
    monkeypatch.setattr(registry(), "components", [*registry().components, component])


@pytest.fixture(scope="module")
def episodes() -> list[Trajectory]:
    toy = Grouped()
    return [play_expert(toy, task, seed=1) for split in toy.splits for task in toy.tasks(split)]


@pytest.fixture(scope="module")
def bank(tmp_path_factory: pytest.TempPathFactory, episodes: list[Trajectory]) -> Bank:
    bank = Bank.create(tmp_path_factory.mktemp("audit") / "bank")
    bank.add(episodes)
    return bank


def rows(path: Path, episodes: list[Trajectory], bank: Bank | Retriever, **choices: Any) -> Audit:
    write_dataset(path, build_rows(episodes, bank, DataConfig.make(**choices), Grouped()))
    return audit(path)


def reasons(result: Audit) -> set[str]:
    return {why for offence in result.offences for why in offence.why.split(", ")}


def edit(path: Path, line: int, **changes: Any) -> None:
    lines = path.read_text().splitlines()
    lines[line] = json.dumps({**json.loads(lines[line]), **changes})
    path.write_text("\n".join(lines) + "\n")


def test_a_training_set_passes(bank: Bank, episodes: list[Trajectory], tmp_path: Path) -> None:
    result = rows(tmp_path / "rows.jsonl", episodes, bank, k=3, exclude_by=("place",))
    assert result.passed
    assert result.checked == len(episodes)
    assert result.recalls > len(episodes)
    assert rows(tmp_path / "bare.jsonl", episodes, bank, k=0) == Audit(checked=16)


def test_a_retriever_without_its_exclusion_is_found_out(bank: Bank, episodes: list[Trajectory], tmp_path: Path) -> None:
    leaking = Retriever(bank, k=6, exclude=False)
    result = rows(tmp_path / "rows.jsonl", episodes, leaking)
    assert not result.passed
    assert any(why.startswith("of the same group") for why in reasons(result))
    assert {offence.where.partition("/")[0] for offence in result.offences} <= {episode.id for episode in episodes}


def test_whatever_slips_into_a_row_is_named(bank: Bank, episodes: list[Trajectory], tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    rows(path, episodes, bank, exclude_by=("place",))
    own, task = episodes[0], episodes[0].task
    group = next(e for e in episodes if e.task.group == task.group and e.task.id != task.id)
    place = next(e for e in episodes if e.task.metadata["place"] == task.metadata["place"] and e.task.group != task.group)
    recalled = [{"id": id, "score": 1.0, "reason": ""} for id in (own.id, group.id, place.id, "nobody")]
    edit(path, 0, recalled=recalled)
    result = audit(path)
    assert [offence.recalled for offence in result.offences] == [own.id, group.id, place.id, "nobody"]
    assert result.offences[0].why.startswith("the episode itself, the same task, of the same group")
    assert result.offences[1].why.startswith(f"of the same group {task.group!r}")
    assert result.offences[2].why == f"the same place {task.metadata['place']!r}"
    assert "not in the bank" in result.offences[3].why
    assert {offence.where for offence in result.offences} == {f"{own.id}/0"}


@pytest.mark.usefixtures("toy_plugin")
def test_a_run_is_held_against_the_bank_at_its_version(bank: Bank, episodes: list[Trajectory], tmp_path: Path) -> None:
    config = RunConfig.make(environment="toy", model="case-based", bank=bank.uri, k=2, workers=0, limit=4, max_steps=3)
    run(config, tmp_path / "run")
    clean = audit(tmp_path / "run")
    assert clean.passed
    assert (clean.checked, clean.recalls) == (4, 8)

    directory = RunDirectory(tmp_path / "run")
    before = directory.episodes()
    twin = next(episode for episode in episodes if episode.task.key == before[1].task.key)
    leaked = [{"id": twin.id, "score": 9.0, "reason": "slipped through"}]
    edit(directory.episodes_path, 1, steps=[{**step.to_dict(), "recalled": leaked} for step in before[1].steps])
    result = audit(tmp_path / "run")
    assert [(o.where, o.recalled) for o in result.offences] == [(before[1].id, twin.id)]
    assert "the same task" in result.offences[0].why

    later = play_expert(Grouped(), Grouped().task("train/5"), seed=7)
    bank.add([later])  # it was not there yet when the run asked
    edit(directory.episodes_path, 2, steps=[{**s.to_dict(), "recalled": [{"id": later.id, "score": 1}]} for s in before[2].steps])
    assert [f"at version {before[2].provenance.bank_version}" in o.why for o in audit(tmp_path / "run").offences] == [False, True]


@pytest.mark.usefixtures("toy_plugin")
def test_a_task_that_a_run_holds_twice_is_counted_once_and_looked_at_twice(bank: Bank, tmp_path: Path) -> None:
    config = RunConfig.make(environment="toy", model="case-based", bank=bank.uri, k=2, workers=0, limit=2, max_steps=3)
    run(config, tmp_path / "run")
    directory = RunDirectory(tmp_path / "run")
    directory.append(directory.episodes()[0])
    result = audit(tmp_path / "run")
    assert (result.checked, result.recalls, result.repeated) == (2, 6, 1)


def test_a_bank_on_the_network_is_opened_only_if_it_is_named(
    bank: Bank, episodes: list[Trajectory], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "rows.jsonl"
    rows(path, episodes, bank)
    about = next(file for file in tmp_path.iterdir() if file != path)
    about.write_text(about.read_text().replace(bank.uri, "s3://someone/bank"))
    opened: list[str] = []
    original = Bank.open

    def local(uri: str, version: int | None = None) -> Bank:
        opened.append(uri)
        return original(bank.uri, version=version)

    monkeypatch.setattr(Bank, "open", local)
    with pytest.raises(ConfigError, match=r"s3://someone/bank was not opened.*--bank s3://someone/bank"):
        audit(path)
    assert opened == []
    assert audit(path, "s3://someone/bank").passed
    assert set(opened) == {"s3://someone/bank"}


def test_the_command_names_offenders_and_exits_with_1(bank: Bank, episodes: list[Trajectory], tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    rows(path, episodes, bank)
    assert exprag("audit", path).exit_code == 0
    edit(path, 3, recalled=[{"id": episodes[3].id, "score": 1.0, "reason": ""}])
    outcome = exprag("audit", path, "--bank", bank.uri)
    assert outcome.exit_code == 1
    assert episodes[3].id in outcome.output
    assert "1 that should not have been" in outcome.output


def test_bad_input(bank: Bank, episodes: list[Trajectory], tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="is not a dataset"):
        audit(tmp_path)
    with pytest.raises(ConfigError, match=r"There is no run and no training set .*nowhere"):
        audit(tmp_path / "nowhere")
    rows(tmp_path / "rows.jsonl", episodes, bank)
    with pytest.raises(BankError):
        audit(tmp_path / "rows.jsonl", bank=tmp_path / "elsewhere")
    edit(tmp_path / "rows.jsonl", 0, bank_version=10_000)
    with pytest.raises(BankError, match="it never was"):
        audit(tmp_path / "rows.jsonl")
