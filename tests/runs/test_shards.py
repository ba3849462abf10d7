"""Shards: parts of a run's tasks, each an ordinary run directory, joined to what one machine would have played."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from command_line import exprag

from exprag.bank import Bank
from exprag.environments.expert import play_expert
from exprag.errors import ConfigError, RecordError, RunError
from exprag.evaluation import load_run
from exprag.runs import RunConfig, RunDirectory, merge, run
from exprag.trajectory import Trajectory
from toy import Toy


def config(**values: Any) -> RunConfig:
    return RunConfig.make(**{"environment": "toy:Toy", "workers": 0, "name": "all", "max_steps": 4, **values})


def play(tmp_path: Path, count: int, **values: Any) -> list[Path]:
    folders = [tmp_path / f"shard-{number}" for number in range(1, count + 1)]
    for number, folder in enumerate(folders, 1):
        run(config(shard=f"{number}/{count}", **values), folder)
    return folders


def contents(folder: Path) -> list[dict[str, Any]]:
    """The episodes of a run but for when they were played, in the order of their tasks."""

    def content(episode: Trajectory) -> dict[str, Any]:
        values = episode.to_dict()
        for name in ("created", "seconds", "extra"):
            values["provenance"].pop(name)
        for step in values["steps"]:
            step.pop("seconds", None)
        return values

    return [content(episode) for episode in sorted(RunDirectory(folder).episodes(), key=lambda episode: episode.task.key)]


@pytest.mark.parametrize("count", [2, 11])
def test_shards_are_joined_to_what_one_machine_plays(count: int, tmp_path: Path) -> None:
    bank = Bank.create(tmp_path / "bank")
    bank.add([play_expert(Toy(), task) for task in Toy().tasks("train")])
    memory = {"bank": str(tmp_path / "bank"), "bank_version": bank.version, "index_state": "matched", "shuffle": True, "limit": 7}
    shards = play(tmp_path, count, **memory)
    report = merge(reversed(shards), tmp_path / "joined")
    assert (report.shards, report.episodes, report.tasks, report.missing) == (count, 7, 7, ())
    run(config(**memory), tmp_path / "one")
    assert contents(tmp_path / "joined") == contents(tmp_path / "one")
    assert RunDirectory(tmp_path / "joined").config(allow_code=True) == RunDirectory(tmp_path / "one").config(allow_code=True)
    assert load_run(tmp_path / "joined").repeated == 0
    # it is an ordinary run: the same command finds nothing to play
    assert run(config(**memory), tmp_path / "joined").episodes == 7
    assert "7 played, 0 to play" in (tmp_path / "joined" / "log.txt").read_text()


def test_each_shard_has_every_type_of_task(tmp_path: Path) -> None:
    first, second, third = play(tmp_path, 3, limit=8, policy="expert")
    sizes = [len(RunDirectory(folder).episodes()) for folder in (first, second, third)]
    assert sizes == [3, 3, 2]
    assert {episode.task.type for episode in RunDirectory(third).episodes()} == {"carry", "fetch"}
    assert json.loads((second / "tasks.json").read_text())["tasks"] == ["toy:test/1", "toy:test/4", "toy:test/7"]
    with pytest.raises(RunError, match="holds another run: shard"):
        run(config(shard="3/3", limit=8, policy="expert"), second)


def test_tasks_without_an_episode_are_told_and_can_be_allowed(tmp_path: Path) -> None:
    first, second, _ = play(tmp_path, 3, policy="expert")
    lines = (second / "episodes.jsonl").read_bytes()
    (second / "episodes.jsonl").write_bytes(lines[:-20])  # as a kill leaves it
    with pytest.raises(RunError, match=r"3 of 8 tasks have no episode: 1 of shard 2/3, the first toy:test/7; all of shard 3/3"):
        merge([first, second], tmp_path / "joined")
    assert not list(tmp_path.glob("joined*"))
    report = merge([first, second], tmp_path / "joined", partial=True)
    assert (report.episodes, len(report.missing)) == (5, 2)
    assert run(config(policy="expert"), tmp_path / "joined").episodes == 8
    assert [episode["task"]["id"] for episode in contents(tmp_path / "joined")] == [f"test/{number}" for number in range(8)]


def test_what_is_not_one_run_is_not_joined(tmp_path: Path) -> None:
    first, second = play(tmp_path, 2, policy="expert")
    out = tmp_path / "joined"
    for name, values, message in (
        ("seed", {"shard": "2/2", "seed": 7}, r"differ in seed \(2025, 7\)"),
        ("of three", {"shard": "2/3"}, "one is of 2 shards, the other of 3"),
        ("size", {"shard": "2/2", "environment_options": {"size": 9}}, "environment_options"),
        ("whole", {}, "not a shard"),
    ):
        run(config(policy="expert", **values), tmp_path / name)
        with pytest.raises(RunError, match=message):
            merge([first, tmp_path / name], out)
    with pytest.raises(RunError, match="Shard 1/2 is there twice"):
        merge([first, second, first], out)
    with pytest.raises(RunError, match="not a run directory"):
        merge([first, tmp_path], out)
    share = json.loads((second / "tasks.json").read_text())
    (second / "tasks.json").write_text(json.dumps(share | {"digest": "other"}))
    with pytest.raises(RunError, match="list other tasks"):
        merge([first, second], out)
    (second / "tasks.json").write_text(json.dumps(share))
    versions = (second / "versions.json").read_text()
    (second / "versions.json").write_text(json.dumps(json.loads(versions) | {"fingerprint": "other"}))
    with pytest.raises(RunError, match="environments differ"):
        merge([first, second], out)
    changed = json.loads(versions)
    changed["packages"]["numpy"] = "0.1"
    (second / "versions.json").write_text(json.dumps(changed))
    assert merge([first, second], tmp_path / "fine").versions == ("numpy",)
    episodes = second / "episodes.jsonl"
    whole = episodes.read_bytes()
    episodes.write_bytes(whole + whole)
    with pytest.raises(RunError, match="is there twice"):
        merge([first, second], out)
    episodes.write_bytes(whole + (first / "episodes.jsonl").read_bytes())
    with pytest.raises(RunError, match="is not a task of shard 2/2"):
        merge([first, second], out)
    episodes.write_bytes(whole + b'{"task": 1}\n')
    with pytest.raises(RecordError, match=r"episodes.jsonl, line 5"):
        merge([first, second], out)
    episodes.write_bytes(whole)
    assert not list(tmp_path.glob("joined*"))
    with pytest.raises(RunError, match="exists already"):
        merge([first, second], tmp_path / "fine")


def test_what_cannot_be_a_shard_is_refused_at_its_start(tmp_path: Path) -> None:
    for text in ("0/3", "4/3", "3", "a/b", "1/", "-1/3", ""):
        with pytest.raises(ConfigError, match="a shard is I/N"):
            config(shard=text)
    with pytest.raises(ConfigError, match="needs the name"):
        run(config(shard="1/2", name=""), tmp_path / "r")
    with pytest.raises(ConfigError, match="learns"):
        run(config(shard="1/2", learn="all"), tmp_path / "r")
    bank = Bank.create(tmp_path / "bank")
    with pytest.raises(ConfigError, match=rf"--bank-version {bank.version}"):
        run(config(shard="1/2", bank=str(tmp_path / "bank")), tmp_path / "r")
    assert not (tmp_path / "r" / "episodes.jsonl").exists()


def test_shards_on_the_command_line(tmp_path: Path) -> None:
    for number in (1, 2):
        options = ["--workers", "0", "--max-steps", "3", "--name", "all", "--shard", f"{number}/2"]
        assert exprag("run", "--env", "toy:Toy", *options, "--out", str(tmp_path / f"s{number}")).exit_code == 0
    incomplete = exprag("merge", str(tmp_path / "s1"), "--out", str(tmp_path / "joined"))
    assert incomplete.exit_code == 1
    assert "all of shard 2/2" in incomplete.output
    joined = exprag("merge", str(tmp_path / "s1"), str(tmp_path / "s2"), "--out", str(tmp_path / "joined"))
    assert joined.exit_code == 0
    assert "8 episodes of 8 tasks, from 2 shards" in joined.output
