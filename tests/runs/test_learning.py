"""Runs that learn: the bank grows by round, in the order of the tasks, with any number of workers, however it was stopped."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from waiting import PATIENCE, start, wait_for

from exprag.bank import Bank
from exprag.environments.expert import play_expert
from exprag.errors import ConfigError, ExpragError, RunError
from exprag.runs import RunConfig, RunDirectory, run
from exprag.trajectory import Trajectory
from toy import Toy


def config(**more: object) -> RunConfig:
    about = {"environment": "toy:Toy", "split": "test", "learn": "success", "learn_every": 3, "workers": 0, "k": 1}
    return RunConfig.make(**{**about, **more})


@pytest.fixture
def bank(tmp_path: Path) -> Bank:
    toy = Toy()
    start_bank = Bank.create(tmp_path / "start")
    start_bank.add([play_expert(toy, task) for task in list(toy.tasks("train"))[:2]])
    return start_bank


def record(out: Path) -> list[dict]:
    return [json.loads(line) for line in (out / "learned.jsonl").read_text().splitlines()]


def short(episode: Trajectory) -> bool:
    return len(episode.steps) < 3


def test_successes_enter_the_runs_own_bank_in_the_order_of_the_tasks(tmp_path: Path, bank: Bank) -> None:
    version = bank.version
    run(config(bank=bank.uri), tmp_path / "run")
    episodes = {episode.id: episode for episode in RunDirectory(tmp_path / "run").episodes()}
    rounds = record(tmp_path / "run")
    assert [entry["round"] for entry in rounds] == [0, 1, 2]
    added = [episodes[id] for entry in rounds for id in entry["added"]]
    assert added
    assert all(episode.success for episode in added)
    assert [episode.task.id for episode in added] == sorted(episode.task.id for episode in added)
    assert all("did not succeed" in why for entry in rounds for why in entry["refused"].values())
    grown = Bank.open(tmp_path / "run" / "bank")
    assert {t.id for t in grown} == {t.id for t in bank} | {episode.id for episode in added}
    assert (bank.version, len(bank)) == (version, 2)
    for entry in rounds:  # every episode read the bank as it was when its round began
        for id in [*entry["added"], *entry["refused"]]:
            assert episodes[id].provenance.bank_version == entry["from_version"]


@pytest.mark.slow
def test_the_same_run_gives_the_same_bank(tmp_path: Path, bank: Bank) -> None:
    run(config(bank=bank.uri, name="r"), tmp_path / "one")
    run(config(bank=bank.uri, name="r", workers=2), tmp_path / "two")
    one, two = (Bank.open(tmp_path / name / "bank") for name in ("one", "two"))
    assert [t.id for t in one] == [t.id for t in two]
    assert [d["added"] for d in record(tmp_path / "one")] == [d["added"] for d in record(tmp_path / "two")]


def test_stopped_anywhere_it_goes_on_to_the_same_bank(tmp_path: Path, bank: Bank) -> None:
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    run(config(bank=bank.uri, name="r"), whole)

    class Stopped(Exception):
        pass

    for stop_at in (2, 5, 6):

        def stop(count: int, total: int, episode: Trajectory | None, at: int = stop_at) -> None:
            if episode is not None and count >= at:
                raise Stopped

        with pytest.raises(Stopped):
            run(config(bank=bank.uri, name="r"), parts, progress=stop)
    # killed after the episodes were added, before that was recorded
    lines = (parts / "learned.jsonl").read_text().splitlines(keepends=True)
    (parts / "learned.jsonl").write_text("".join(lines[:-1]) + lines[-1][:7])
    run(config(bank=bank.uri, name="r"), parts)
    assert [d["added"] for d in record(parts)] == [d["added"] for d in record(whole)]
    assert [t.id for t in Bank.open(parts / "bank")] == [t.id for t in Bank.open(whole / "bank")]


def test_without_a_bank_it_starts_with_an_empty_one_and_a_rule_may_refuse(tmp_path: Path) -> None:
    run(config(learn="all", learn_rule=f"{__name__}:short"), tmp_path / "run")
    refused = [why for entry in record(tmp_path / "run") for why in entry["refused"].values()]
    assert refused
    assert all("short refused it" in why for why in refused)


def test_a_rule_that_cannot_be_used_is_said_before_the_first_episode(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="module:function"):
        run(config(learn_rule="nowhere:rule"), tmp_path / "run")
    with pytest.raises(ExpragError, match=r"learn"):
        config(learn="some")
    assert not RunDirectory(tmp_path / "run").episodes()


HELD = """
import importlib, os, time
from pathlib import Path
from exprag.runs import RunConfig, run

def hold(place):
    module, _, path = place.partition(":")
    *owners, name = path.split(".")
    owner = importlib.import_module(module)
    for part in owners:
        owner = getattr(owner, part)
    def stand(*arguments, **options):
        Path("sign").write_text("here")
        time.sleep(3600)
    setattr(owner, name, stand)

if __name__ == "__main__":
    hold("PLACE")
    run(RunConfig.make(**VALUES), "killed")
"""
SMALL = {"environment_options": {"size": 24}, "limit": 20, "max_steps": 2, "learn": "all", "learn_every": 8, "k": 4, "name": "r"}
PLACES = [
    "exprag.bank.files:shutil.copytree",  # while its own bank is made
    "exprag.bank.index:Upkeep.complete",  # between the rows of a round and the upkeep that they make due
    "lancedb.table:LanceTable.optimize",  # in that upkeep
    "exprag.runs.learning:append_line",  # before the round is recorded
]


def recalled(out: Path) -> dict[str, list[list[tuple[str, float]]]]:
    return {
        episode.task.id: [[(item.id, item.score) for item in step.recalled] for step in episode.steps]
        for episode in RunDirectory(out).episodes()
    }


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a bank of eight trajectories, and a run that learned from it: after its first round upkeep is due."""
    folder = tmp_path_factory.mktemp("learning")
    toy = Toy()
    Bank.create(folder / "start").add([play_expert(toy, task) for task in toy.tasks("train")])
    run(config(bank=str(folder / "start"), **SMALL), folder / "undisturbed")
    return folder


@pytest.mark.parametrize("place", PLACES)
def test_killed_at_any_moment_it_recalls_the_same(place: str, undisturbed: Path, tmp_path: Path) -> None:
    values = config(bank=str(undisturbed / "start"), **SMALL).model_dump(mode="json")
    process = start(HELD.replace("PLACE", place).replace("VALUES", repr(values)), tmp_path)
    wait_for(tmp_path / "sign", process)
    process.kill()
    process.communicate(timeout=PATIENCE)
    out = tmp_path / "killed"
    run(config(bank=str(undisturbed / "start"), **SMALL), out)
    expected = recalled(undisturbed / "undisturbed")
    assert any(items for steps in expected.values() for items in steps)
    assert recalled(out) == expected
    assert [entry["added"] for entry in record(out)] == [entry["added"] for entry in record(undisturbed / "undisturbed")]
    versions = {entry["round"]: entry["from_version"] for entry in record(out)}
    held = [Bank.open(out / "bank", version=version) for version in versions.values()]
    assert [len(bank) for bank in held] == [8, 16, 24]
    assert not [path for path in out.rglob("*") if path.name.endswith((".partial", ".upkeep"))]


def test_a_start_of_other_settings_makes_its_own_bank(tmp_path: Path, bank: Bank) -> None:
    """Killed before its first episode, a run leaves a copy of its bank: that of other settings is not taken."""
    values = config(bank=bank.uri, **SMALL).model_dump(mode="json")
    process = start(HELD.replace("PLACE", "exprag.runs.engine:play_all").replace("VALUES", repr(values)), tmp_path)
    wait_for(tmp_path / "sign", process)
    process.kill()
    process.communicate(timeout=PATIENCE)
    assert len(Bank.open(tmp_path / "killed" / "bank")) == 2
    run(config(learn="all", limit=1, max_steps=2), tmp_path / "killed")
    assert len(Bank.open(tmp_path / "killed" / "bank")) == 1


def test_rounds_of_a_series_of_errors_are_taken_back(tmp_path: Path) -> None:
    """What was burnt is played again, and enters the bank as if nothing had happened."""
    mended = tmp_path / "mended"
    values = {"environment": "stuck:Broken", "environment_options": {"mended": str(mended)}, "learn": "all", "learn_every": 2}
    values |= {"stop_after_errors": 5, "max_steps": 2, "name": "r", "limit": 8}
    with pytest.raises(RunError, match="5 episodes in a row"):
        run(config(**values), tmp_path / "run")
    assert [episode.task.id for episode in RunDirectory(tmp_path / "run").episodes()] == ["test/0", "test/1"]
    assert [entry["round"] for entry in record(tmp_path / "run")] == [0]
    mended.touch()
    summary = run(config(**values), tmp_path / "run")
    assert (summary.episodes, summary.errors) == (8, {"environment": 1})  # round 0 had been read by round 1
    assert [len(entry["added"]) for entry in record(tmp_path / "run")] == [1, 2, 2, 2]
