"""The index of a run's episodes says what reading them all would say, whatever happened to either file."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from exprag.errors import RecordError
from exprag.files import cut_torn_line
from exprag.runs import RunConfig, RunDirectory, run
from exprag.runs.episode_index import INDEX
from exprag.trajectory import Task


def config(**values: object) -> RunConfig:
    return RunConfig.make(**{"environment": "toy:Toy", "workers": 0, "limit": 4, "max_steps": 3, **values})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    run(config(), tmp_path / "r")
    return tmp_path / "r"


def check(folder: Path) -> None:
    """The index agrees with the episodes, each of which can be read through it."""
    directory = RunDirectory(folder)
    episodes, entries = directory.episodes(), directory.entries()
    facts = [(e.task.key, e.id, e.ended, e.success, len(e.steps)) for e in episodes]
    assert [(*entry[:4], entry.steps) for entry in entries] == facts
    assert directory.episodes_of([episode.task for episode in episodes]) == episodes


def lines(folder: Path) -> list[str]:
    return (folder / INDEX).read_text().splitlines()[1:]


def test_each_episode_has_its_line(folder: Path) -> None:
    check(folder)
    assert len(lines(folder)) == 4
    assert all(len(line) < 400 for line in lines(folder))


def test_it_is_read_in_place_of_the_episodes(folder: Path) -> None:
    """Where the file has the size and time of change that the index names, no byte of the episodes is looked at."""
    file = folder / "episodes.jsonl"
    about = file.stat()
    file.write_bytes(b"#" * about.st_size)
    os.utime(file, ns=(about.st_atime_ns, about.st_mtime_ns))
    assert len(RunDirectory(folder).entries()) == 4


def delete(folder: Path) -> None:
    (folder / INDEX).unlink()


def spoil(folder: Path) -> None:
    (folder / INDEX).write_text("garbage\n")


def tear(folder: Path) -> None:
    (folder / INDEX).write_bytes((folder / INDEX).read_bytes()[:-9])


def fall_behind(folder: Path) -> None:
    """As a process leaves it that is killed between an episode and its line."""
    (folder / INDEX).write_text("".join((folder / INDEX).read_text().splitlines(keepends=True)[:-1]))


def hold_other_types(folder: Path) -> None:
    header, *rest = (folder / INDEX).read_text().splitlines()
    (folder / INDEX).write_text("\n".join([header, "[1,2]", *rest, ""]))


def edit_an_episode(folder: Path) -> None:
    """To the same length, which only a checksum sees."""
    file = folder / "episodes.jsonl"
    text = file.read_text()
    assert "test/1" in text
    file.write_text(text.replace("test/1", "test/7"))


def drop_a_line(folder: Path) -> None:
    file = folder / "episodes.jsonl"
    first, _, *others = file.read_text().splitlines(keepends=True)
    file.write_text(first + "".join(others))


def copy_without_times(folder: Path) -> None:
    os.utime(folder / "episodes.jsonl", ns=(5, 5))


def add_blank_lines(folder: Path) -> None:
    with open(folder / "episodes.jsonl", "a") as out:
        out.write("\n\n")


DAMAGE = [delete, spoil, tear, fall_behind, hold_other_types, edit_an_episode, drop_a_line, copy_without_times, add_blank_lines]


@pytest.mark.parametrize("damage", DAMAGE)
def test_where_it_disagrees_it_is_made_again(damage: Callable[[Path], None], folder: Path) -> None:
    damage(folder)
    before = (folder / INDEX).read_bytes() if (folder / INDEX).exists() else None
    check(folder)  # only read: nothing is written
    assert ((folder / INDEX).read_bytes() if (folder / INDEX).exists() else None) == before
    run(config(), folder)  # plays what has no episode now
    check(folder)
    keys = [json.loads(line)[0] for line in lines(folder)]
    assert {f"toy:test/{number}" for number in range(4)} <= set(keys)
    assert len(set(keys)) == len(keys) == len(RunDirectory(folder).episodes())


def test_it_is_whole_after_the_run_went_on(folder: Path) -> None:
    fall_behind(folder)
    run(config(), folder)
    assert [json.loads(line)[0] for line in lines(folder)] == [entry.key for entry in RunDirectory(folder).entries()]


def test_who_watches_sees_what_is_appended_and_what_is_forgotten(folder: Path) -> None:
    watcher, writer = RunDirectory(folder), RunDirectory(folder)
    assert len(watcher.entries()) == 4
    episode = writer.episodes()[0]
    other = episode.model_copy(update={"task": Task(environment="toy", id="test/9"), "id": "other"})
    writer.append(other)
    assert [entry.id for entry in watcher.entries()][-1] == "other"
    assert writer.forget([episode.id]) == 1
    assert [entry.id for entry in watcher.entries()] == [e.id for e in writer.episodes()]
    writer.append(episode)  # of another length than what the watcher remembers at that place
    assert [entry.id for entry in watcher.entries()] == [e.id for e in writer.episodes()]
    check(folder)


def test_forgotten_episodes_leave_the_others_byte_for_byte(folder: Path) -> None:
    file = folder / "episodes.jsonl"
    first, second, *others = file.read_bytes().splitlines(keepends=True)
    assert RunDirectory(folder).forget([json.loads(second)["id"], "never there"]) == 1
    assert file.read_bytes() == b"".join([first, *others])
    assert len(lines(folder)) == 3
    check(folder)


def test_a_line_that_is_no_episode_is_named(folder: Path) -> None:
    with open(folder / "episodes.jsonl", "a") as out:
        out.write('{"schema_version": 1}\n')
    with pytest.raises(RecordError, match=r"episodes\.jsonl, line 5: Not a valid Trajectory: task"):
        RunDirectory(folder).entries()


def test_an_episode_of_another_version_or_hand_is_read_as_a_whole(folder: Path) -> None:
    """One without the fields that are always written: its id is made from what happened."""
    with open(folder / "episodes.jsonl", "a") as out:
        out.write('{"task": {"environment": "toy", "id": "test/8"}, "ended": "truncated"}\n')
    check(folder)


@pytest.mark.parametrize("tail", [0, 1, 70_000, 200_000])
def test_a_torn_line_of_any_length_is_cut(tail: int, tmp_path: Path) -> None:
    for whole in (b"", b"a\n", b"a\n" + b"b" * 90_000 + b"\n"):
        file = tmp_path / "lines"
        file.write_bytes(whole + b"x" * tail)
        assert cut_torn_line(file) == tail
        assert file.read_bytes() == whole
