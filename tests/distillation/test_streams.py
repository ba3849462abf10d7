"""Streams: tasks arrive in an order, the memory grows round by round, and the agent without memory plays the same visits."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from command_line import call
from waiting import start, wait_for

from exprag.bank import Bank
from exprag.bank.items import Items
from exprag.distillation.streams import Stream, StreamConfig, arrivals, play_stream
from exprag.distillation.writing import write_items
from exprag.environments.expert import play_expert
from exprag.errors import ConfigError, RunError
from exprag.plugins import create
from exprag.prompt.hint_block import hint_ids
from exprag.runs import RunDirectory
from exprag.runs.engine import Progress
from exprag.trajectory import Task, Trajectory
from scripted import Scripted
from toy import Toy


def settings(arrival: str = "by-type", **changes: Any) -> StreamConfig:
    run = {"environment": "toy:Toy", "split": "test", "limit": 4, "workers": 0, "learn": "success"}
    run |= {"learn_every": 2, "k": 1, **changes.pop("run", {})}
    return StreamConfig.make(run=run, arrival=arrival, **changes)


def order(config: StreamConfig, types: str = "aaabb") -> list[tuple[str, bool, int, int]]:
    tasks = [Task(environment="toy", id=f"{type_}{n}", type=type_) for n, type_ in enumerate(types)]
    return [(visit.task.id, visit.again, visit.round, visit.chapter) for visit in arrivals(tasks, config)]


def quiet(line: str) -> None:
    """Say nothing."""


@pytest.fixture(scope="module")
def bank(tmp_path_factory: pytest.TempPathFactory) -> Bank:
    toy = Toy()
    bank = Bank.create(tmp_path_factory.mktemp("start") / "bank")
    bank.add([play_expert(toy, task) for task in list(toy.tasks("train"))[:2]])
    return bank


def test_types_in_sequence_come_again_at_the_end() -> None:
    first = [("a0", False, 0, 0), ("a1", False, 0, 0), ("a2", False, 1, 0), ("b3", False, 2, 0), ("b4", False, 2, 0)]
    again = [("a0", True, 3, 0), ("a1", True, 3, 0), ("a2", True, 4, 0), ("b3", True, 5, 0), ("b4", True, 5, 0)]
    assert order(settings()) == first + again
    assert order(settings(revisits=False)) == first
    named = order(settings(run={"types": ["b", "a"]}))
    assert [id for id, *_ in named[:5]] == ["b3", "b4", "a0", "a1", "a2"]


def test_isolated_types_have_a_memory_each_and_never_come_again() -> None:
    expected = [("a0", False, 0, 0), ("a1", False, 0, 0), ("a2", False, 1, 0), ("b3", False, 2, 1), ("b4", False, 2, 1)]
    assert order(settings("isolated")) == expected


def test_interleaved_types_take_turns_and_tasks_come_again_later() -> None:
    visits = order(settings("interleaved", run={"learn_every": 4}))
    names = ["a0", "b3", "a1", "a0", "b4", "b3", "a2", "a1", "b4", "a2"]
    assert [id for id, *_ in visits] == names
    assert [again for _, again, *_ in visits] == [False, False, False, True, False, True, False, True, True, True]
    rounds: dict[int, list[str]] = {}
    for id, _, number, chapter in visits:
        assert chapter == 0
        rounds.setdefault(number, []).append(id)
    assert list(rounds.values()) == [["a0", "b3", "a1"], ["a0", "b4", "b3", "a2"], ["a1", "b4", "a2"]]


def test_the_memory_grows_round_by_round_and_the_same_call_changes_nothing(tmp_path: Path, bank: Bank) -> None:
    out, lines = tmp_path / "out", list[str]()
    config = settings(run={"bank": bank.uri})
    outcome = play_stream(config, out, say=lines.append)
    records = [json.loads(line) for line in (out / "memory" / "0" / "learned.jsonl").read_text().splitlines()]
    runs = [RunDirectory(path) for path in sorted((out / "rounds").iterdir())]
    assert len(records) == len(runs) == 4
    for record, directory in zip(records, runs, strict=True):  # each round read the memory as it was when it began
        assert {episode.provenance.bank_version for episode in directory.episodes()} == {record["from_version"]}
    episodes = {episode.id: episode for directory in runs for episode in directory.episodes()}
    added = {id for record in records for id in record["added"]}
    assert added == {id for id, episode in episodes.items() if episode.success}
    assert {episode.id for episode in Bank.open(out / "memory" / "0" / "bank")} == added | {episode.id for episode in bank}
    assert [visit.task for visit in outcome.visits] == [f"toy:test/{n}" for n in (0, 2, 1, 3)] * 2
    without = RunDirectory(out / "none" / "first").episodes()
    assert not any(visit.none for visit in outcome.visits)
    assert not any(episode.success for episode in without)
    assert any(visit.memory for visit in outcome.visits)
    assert lines[-1] == f"{out / 'report.json'}, {out / 'stream.png'}"
    assert lines[1].split()[:2] == ["all", "8"]
    before = (out / "report.json").read_bytes()
    play_stream(config, out, say=quiet)
    assert (out / "report.json").read_bytes() == before
    with pytest.raises(RunError, match="another stream: arrival"):
        play_stream(settings("isolated", run={"bank": bank.uri}), out, say=quiet)


class Stopped(Exception):
    """The stream was stopped on purpose."""


@contextmanager
def stopping(name: str) -> Iterator[Progress]:
    """Bars that stop the second round after its first episode."""

    def progress(count: int, total: int, episode: Trajectory | None) -> None:
        if name == "rounds/001" and episode is not None:
            raise Stopped

    yield progress


def test_hints_are_written_in_each_round_also_where_it_was_stopped(tmp_path: Path) -> None:
    run = {"environment": "alfworld-generated", "split": "train", "types": ["pick_and_place_simple"], "limit": 4, "max_steps": 16}
    config = settings(distiller="expert", revisits=False, run={**run, "learn": "none"})
    out = tmp_path / "out"
    with pytest.raises(Stopped):
        Stream(config, out, quiet, stopping).play()
    assert len(RunDirectory(out / "rounds" / "001").episodes()) == 1
    assert not (out / "report.json").exists()
    outcome = play_stream(config, out, say=quiet)
    first, second = (RunDirectory(out / "rounds" / name).episodes() for name in ("000", "001"))
    assert not any(map(hint_ids, first))
    read = {id for episode in second for id in hint_ids(episode)}
    place = out / "memory" / "0" / "bank"
    assert read <= {item.id for item in Items(Bank.open(place))}
    assert len(Bank.open(place)) == 0
    calls = [json.loads(line)["episodes"] for line in (out / "memory" / "0" / "distilled.jsonl").read_text().splitlines()]
    lost = [[episode.id] for episodes in (first, second) for episode in episodes if not episode.success]
    assert sorted(calls) == sorted(lost)
    assert [visit.memory for visit in outcome.visits][:2] == [False, False]
    assert any(visit.memory for visit in outcome.visits)


def test_a_text_that_is_edited_takes_the_place_of_the_earlier_one(tmp_path: Path) -> None:
    path = tmp_path / "distilled.jsonl"
    runs = [play_expert(Toy(), task) for task in list(Toy().tasks("test"))[:3]]  # the types: fetch, carry, fetch
    turns = [f'{{"sheet": "Look for the {place}."}}' for place in ("door", "desk", "shelf")]
    distiller = create("distiller", "cheat_sheet", model=Scripted(turns=turns))
    for episode in runs:
        calls = write_items(distiller, [episode], [], path)
    assert [(item.type, item.text) for item in calls.items] == [("carry", "Look for the desk."), ("fetch", "Look for the shelf.")]
    assert [source.episode for source in calls.items[1].sources] == sorted([runs[0].id, runs[2].id])
    assert len(calls.replaced) == 1
    assert write_items(distiller, runs[:1], [], path) == calls  # a call whose line is whole is not made again


@pytest.mark.slow
def test_killed_anywhere_it_goes_on_to_the_same_outcome(tmp_path: Path, bank: Bank) -> None:
    whole = play_stream(settings("interleaved", run={"bank": bank.uri}), tmp_path / "whole", say=quiet)
    script = f"""
import sys
from pathlib import Path
sys.path.append({str(Path(__file__).parent)!r})
from test_streams import quiet, settings
from exprag.bank import Bank
from exprag.distillation.streams import Stream
from exprag.runs.learning import Learner

learn = Learner.learn

def learn_and_die(self, number, episodes):
    if number == 1:
        self.bank.add(episode for episode in episodes if episode.success)
        Path("here").touch()
        while True:
            pass
    learn(self, number, episodes)

Learner.learn = learn_and_die
Stream(settings("interleaved", run={{"bank": {bank.uri!r}}}), "parts", quiet).play()
"""
    folder = tmp_path / "killed"
    folder.mkdir()
    process = start(script, folder)
    wait_for(folder / "here", process)  # after the episodes of a round were added, before that was recorded
    process.send_signal(signal.SIGKILL)
    process.wait()
    parts = play_stream(settings("interleaved", run={"bank": bank.uri}), folder / "parts", say=quiet)
    assert parts == whole
    banks = [Bank.open(place / "memory" / "0" / "bank") for place in (tmp_path / "whole", folder / "parts")]
    assert [episode.task.id for episode in banks[0]] == [episode.task.id for episode in banks[1]]


def test_a_memory_that_cannot_grow_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="the memory does not grow"):
        settings(run={"learn": "none"})
    with pytest.raises(ConfigError, match="not an expert's"):
        settings(run={"policy": "expert"})
    with pytest.raises(ConfigError, match="playbook ask a chat model, and none is named"):
        call("stream", "--env", "toy:Toy", "--distiller", "playbook", "--out", tmp_path / "out")


def test_the_command_keeps_successes_where_nothing_else_is_chosen(tmp_path: Path, bank: Bank) -> None:
    result = call(
        "stream", "--env", "toy:Toy", "--split", "test", "--limit", 2, "--bank", bank.uri, "--k", 1, "--workers", 0,
        "--arrival", "isolated", "--out", tmp_path / "out", "--json",
    )  # fmt: skip
    data = json.loads(result.stdout)
    assert [part["name"] for part in data["parts"]] == ["all", "fetch", "carry"]
    assert json.loads((tmp_path / "out" / "stream.json").read_text())["run"]["learn"] == "success"
    assert "2 of 2 memories have a single round, so that nothing they learn is read" in result.stderr
    assert [visit["chapter"] for visit in data["visits"]] == [0, 1]
