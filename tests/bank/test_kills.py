"""Kills aimed at one instant: a child says when it stands there, and is killed. What it leaves, the same call completes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from exprag.bank import Bank
from exprag.bank.files import copy_bank
from exprag.bank.schema import TABLE
from exprag.bank.store import LOCK, MAKING
from exprag.errors import BankError

CHILD = """
import importlib, sys, time
from exprag.bank import Bank
from exprag.files import read_jsonl
import exprag.bank.bank, exprag.bank.files

def stop_at(place, before):
    module, _, path = place.partition(":")
    owner = importlib.import_module(module)
    *owners, name = path.split(".")
    for part in owners:
        owner = getattr(owner, part)
    whole = getattr(owner, name)
    def stopping(*arguments, **options):
        result = None if before else whole(*arguments, **options)
        print("here", flush=True)
        sys.stdin.readline()  # to be killed, or to go on
        return whole(*arguments, **options) if before else result
    setattr(owner, name, stopping)

work, place, before, *arguments = sys.argv[1:]
if work == "add":
    bank = Bank.open(arguments[0])
    episodes = list(read_jsonl(arguments[1]))
stop_at(place, before == "before")
if work == "create":
    Bank.open_or_create(arguments[0], strategies=("task", "trajectory"))
elif work == "add":
    bank.add(episodes)
elif work == "copy":
    exprag.bank.files.copy_bank(*arguments)
print("end", flush=True)
"""


def start(work: str, moment: str, *arguments: object) -> subprocess.Popen[str]:
    """A child that stands at the moment, "before module:name" or "after module:name"."""
    when, _, place = moment.partition(" ")
    command = [sys.executable, "-c", CHILD, work, place, when, *map(str, arguments)]
    child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    assert child.stdout.readline() == "here\n"
    return child


def kill(child: subprocess.Popen[str]) -> None:
    child.kill()  # SIGKILL
    child.communicate(timeout=60)
    assert child.returncode == -9


slow = pytest.mark.slow
MAKING_MOMENTS = [
    pytest.param("before exprag.bank.store:Store.create", marks=slow),
    pytest.param("before exprag.bank.store:Store.make_table", marks=slow),
    "before exprag.bank.bank:ensure_indices",
    pytest.param("after exprag.bank.bank:ensure_indices", marks=slow),
    "before exprag.bank.store:Path.rename",
    pytest.param("after exprag.bank.store:Path.rename", marks=slow),
]


@pytest.mark.parametrize("moment", MAKING_MOMENTS)
def test_a_maker_killed_at_any_moment_leaves_a_bank_or_an_empty_folder(tmp_path, episode, moment):
    kill(start("create", moment, tmp_path / "bank"))
    whole = moment == "after exprag.bank.store:Path.rename"
    assert Bank.exists(tmp_path / "bank") == whole
    if not whole:
        with pytest.raises(BankError, match="is not a bank"):
            Bank.open(tmp_path / "bank")
        Bank.create(tmp_path / "bank", strategies=("task", "trajectory"))
    bank = Bank.open_or_create(tmp_path / "bank", strategies=("task", "trajectory"))
    bank.add([episode()])
    assert len(bank.search("mug", strategy="trajectory")) == 1
    Bank.open(bank.uri).add([episode(2)])
    assert {child.name for child in Path(bank.uri).iterdir()} - {MAKING} == {LOCK, f"{TABLE}.lance"}


def test_a_table_without_a_version_counts_as_empty_and_foreign_files_do_not(tmp_path):
    (tmp_path / "bank" / f"{TABLE}.lance" / "_transactions").mkdir(parents=True)
    assert not Bank.exists(tmp_path / "bank")
    assert len(Bank.create(tmp_path / "bank")) == 0
    (tmp_path / "theirs" / f"{TABLE}.lance" / "data").mkdir(parents=True)
    (tmp_path / "theirs" / f"{TABLE}.lance" / "data" / "rows.lance").write_text("rows")
    with pytest.raises(BankError, match="not an empty folder"):
        Bank.create(tmp_path / "theirs")
    assert (tmp_path / "theirs" / f"{TABLE}.lance" / "data" / "rows.lance").read_text() == "rows"


def test_two_processes_that_make_one_bank_both_get_it(tmp_path, episode):
    first = start("create", "before exprag.bank.store:Path.rename", tmp_path / "bank")
    # the second has looked, and found no bank, before the first goes on
    second = start("create", "before exprag.bank.bank:Bank.create", tmp_path / "bank")
    for child in (second, first):
        child.stdin.write("\n")
        child.stdin.flush()
    for child in (first, second):
        output, _ = child.communicate(timeout=120)
        assert (output, child.returncode) == ("end\n", 0)
    bank = Bank.open(tmp_path / "bank")
    assert bank.strategies == ("task", "trajectory")
    assert bank.add([episode()]).added == 1


def hits(bank: Bank) -> list[list[tuple[str, float]]]:
    queries = ("a red mug", "find the lamp on the desk", "You are in room 7.")
    return [
        [(hit.trajectory.id, hit.score) for hit in bank.search(query, strategy=strategy, k=50)]
        for query in queries
        for strategy in bank.strategies
    ]


def layout(bank: Bank) -> list[tuple[str, int, int]]:
    """What a score depends on beside the rows themselves: how many of them are in each index, and how many are not."""
    stats = {index.name: bank.table.index_stats(index.name) for index in bank.table.list_indices()}
    return [(name, about.num_indexed_rows, about.num_unindexed_rows) for name, about in sorted(stats.items())]


UPKEEP_MOMENTS = [
    pytest.param("after exprag.bank.index:Upkeep.begin", marks=slow),
    "before exprag.bank.index:Upkeep.complete",
    pytest.param("before exprag.bank.index:Upkeep._due", marks=slow),
    pytest.param("before lancedb.table:LanceTable.optimize", marks=slow),
    "after lancedb.table:LanceTable.optimize",
    pytest.param("before exprag.bank.index:grow", marks=slow),
    pytest.param("after exprag.bank.index:grow", marks=slow),
    pytest.param("after exprag.bank.index:Upkeep.complete", marks=slow),
]


@pytest.fixture(scope="module")
def parts():
    """Batches of episodes; adding the third of them makes an upkeep due, and with the fifth some rows stand outside the index."""
    from tests.bank.conftest import make_episode

    words = ["a red mug", "find the lamp", "put a mug on the desk", "cool a blue plate", "the desk lamp is red"]
    episodes = [make_episode(n, f"{words[n % 5]} {words[n * n % 5]} {n % 3}") for n in range(30)]
    return [episodes[n : n + 6] for n in range(0, 30, 6)]


@pytest.mark.parametrize("repeat", ["the same add", "open"])
@pytest.mark.parametrize("moment", UPKEEP_MOMENTS)
def test_what_is_recalled_does_not_depend_on_a_kill_between_rows_and_index(tmp_path, parts, moment, repeat):
    from exprag.files import write_jsonl

    strategies = ("task", "trajectory")
    undisturbed = Bank.create(tmp_path / "undisturbed", strategies=strategies)
    bank = Bank.create(tmp_path / "bank", strategies=strategies)
    for part in parts[:2]:
        undisturbed.add(part)
        bank.add(part)
    before = layout(bank)
    undisturbed.add(parts[2])
    assert layout(undisturbed) != before  # this one makes an upkeep
    write_jsonl(tmp_path / "part.jsonl", parts[2])
    kill(start("add", moment, bank.uri, tmp_path / "part.jsonl"))
    bank = Bank.open(bank.uri)
    rows_are_in = moment != "after exprag.bank.index:Upkeep.begin"
    assert len(bank) == (18 if rows_are_in else 12)
    if not rows_are_in or repeat == "the same add":
        assert bank.add(parts[2]).added == (0 if rows_are_in else 6)
    assert layout(bank) == layout(undisturbed)
    assert hits(bank) == hits(undisturbed)
    for part in parts[3:]:
        undisturbed.add(part)
        bank.add(part)
    assert layout(bank) == layout(undisturbed)
    assert hits(bank) == hits(undisturbed)
    assert not list(Path(bank.uri).glob("*.upkeep"))


def test_who_holds_a_bank_open_completes_the_upkeep_of_a_killed_one_with_its_next_write(tmp_path, parts):
    from exprag.files import write_jsonl

    bank, undisturbed = Bank.create(tmp_path / "bank"), Bank.create(tmp_path / "undisturbed")
    for one in (bank, undisturbed):
        one.add(parts[0] + parts[1])
    undisturbed.add(parts[2])
    write_jsonl(tmp_path / "part.jsonl", parts[2])
    kill(start("add", "after lancedb.table:LanceTable.optimize", bank.uri, tmp_path / "part.jsonl"))
    assert bank.add(parts[2]).added == 0
    assert layout(bank) == layout(undisturbed)
    assert hits(bank) == hits(undisturbed)


def test_a_reader_does_not_wait_for_a_writer_in_its_upkeep(tmp_path, parts):
    from exprag.files import write_jsonl

    bank = Bank.create(tmp_path / "bank")
    bank.add(parts[0] + parts[1])
    write_jsonl(tmp_path / "part.jsonl", parts[2])
    writer = start("add", "before lancedb.table:LanceTable.optimize", bank.uri, tmp_path / "part.jsonl")
    assert len(Bank.open(bank.uri)) == 18  # at once, though the other holds the lock
    assert writer.poll() is None
    output, _ = writer.communicate("\n" * 9, timeout=60)
    assert output.endswith("end\n")


@pytest.mark.parametrize("moment", ["before exprag.bank.files:shutil.copytree", "after exprag.bank.files:shutil.copytree"])
def test_a_copy_killed_in_the_middle_is_made_by_the_same_call(tmp_path, parts, moment):
    bank = Bank.create(tmp_path / "bank")
    bank.add(parts[0])
    kill(start("copy", moment, bank.uri, tmp_path / "copy"))
    assert not Bank.exists(tmp_path / "copy")
    copy_bank(bank.uri, tmp_path / "copy")
    assert list(Bank.open(tmp_path / "copy")) == parts[0]
    assert sorted(child.name for child in tmp_path.iterdir()) == ["bank", "copy"]
    with pytest.raises(BankError, match="exists already"):
        copy_bank(bank.uri, tmp_path / "copy")
