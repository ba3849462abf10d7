"""Versions: tags, history, pruning."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from exprag.bank import Bank
from exprag.errors import BankError, ConfigError


def test_a_tag_names_a_version_and_keeps_it(bank, episode):
    bank.add([episode(1)])
    first = bank.tag("first")
    bank.add([episode(2)])
    assert bank.tag("v1.0-both") == bank.version
    bank.add([episode(3)])
    assert bank.tags() == {"first": first, "v1.0-both": first + 1}
    assert [len(Bank.open(bank.uri, version)) for version in ("first", "v1.0-both", first, str(first), None)] == [1, 2, 1, 1, 3]
    assert Bank.open(bank.uri, "first").pinned == first
    report = bank.optimize(prune_older_than=timedelta(0))
    assert report.held_by == "first"
    assert "the tag 'first' holds" in str(report)
    assert len(Bank.open(bank.uri, "first").search("mug")) == 1
    bank.untag("first")
    bank.untag("v1.0-both")
    report = bank.optimize(prune_older_than=timedelta(0))
    assert (report.remaining, report.held_by) == (1, "")
    assert report.removed > 3
    with pytest.raises(BankError, match=rf"no version {first}: it has been pruned.*oldest kept is {bank.version}"):
        Bank.open(bank.uri, first)
    assert len(bank.search("mug")) == 3


def test_what_cannot_be_named(bank, episode):
    bank.add([episode()])
    for name in ("", "7", "a b", "..", "a/b", "a.", "é"):
        with pytest.raises(ConfigError, match="cannot name a version"):
            bank.tag(name)
    bank.tag("taken")
    with pytest.raises(BankError, match=r"'taken' is at version \d+ already"):
        bank.tag("taken")
    with pytest.raises(BankError, match="no version 99"):
        bank.tag("future", 99)
    with pytest.raises(BankError, match=r"no tag 'takn'.*'taken'"):
        Bank.open(bank.uri, "takn")
    with pytest.raises(BankError, match=r"no tag 'takn'.*'taken'"):
        bank.untag("takn")
    for never in (0, -1, 99, "99"):
        with pytest.raises(BankError, match=f"no version {never}: it never was"):
            Bank.open(bank.uri, never)
    assert bank.tags() == {"taken": bank.version}


def test_history_tells_what_made_each_version(bank, episode):
    bank.add([episode(1), episode(2), episode(3, success=None)])
    bank.tag("three")
    bank.trust([episode(3, success=None).id])
    bank.quarantine([episode(1).id, episode(2).id])
    bank.delete([episode(1).id])
    bank.add_strategy("trajectory")
    for n in range(4, 8):
        bank.add([episode(n)])
    bank.optimize()
    records = bank.history(None)
    changes = [record.what for record in reversed(records)]
    assert [what for what in changes if not what.startswith(("index", "upkeep", "compacted", "strategy being"))] == [
        "made",
        "3 added",
        "1 trusted",
        "2 quarantined",
        "1 deleted",
        "strategy trajectory added",
        *["1 added"] * 4,
    ]
    assert "compacted" in changes
    assert [record.version for record in records] == list(range(bank.version, 0, -1))
    assert [(record.what, record.rows) for record in records if record.tags == ("three",)] == [("3 added", 3)]
    assert [record.version for record in bank.history(2)] == [bank.version, bank.version - 1]
    assert records[0].created.endswith("+00:00")


def test_a_reader_at_a_tag_lives_through_pruning(bank, episode):
    bank.add([episode(n) for n in range(5)])
    bank.tag("paper")
    reader = Bank.open(bank.uri, "paper")
    for n in range(5, 30):
        bank.add([episode(n)])
    bank.optimize(prune_older_than=timedelta(0))
    assert len(reader.search("mug", k=99)) == len(list(reader)) == 5


def test_a_bank_in_memory_and_a_file_uri(tmp_path, episode):
    for uri in ("memory://", f"file://{tmp_path}/there"):
        bank = Bank.create(uri)
        bank.add([episode(n) for n in range(3)])
        bank.tag("three")
        bank.delete([episode(1).id])
        assert (len(bank), bank.tags()["three"]) == (2, bank.version - 1)
        assert len(bank.search("mug")) == 2
        assert bank.history(1)[0].what == "1 deleted"


def test_pruning_removes_what_a_killed_writer_left(bank, episode):
    bank.add([episode(1)])
    data = Path(bank.uri) / "trajectories.lance" / "data"
    (file,) = data.iterdir()
    leftover = data / ("0" * 24 + file.name[24:])  # rows written, and never committed
    leftover.write_bytes(file.read_bytes())
    bank.optimize()
    assert leftover.exists()
    bank.optimize(prune_older_than=timedelta(0))
    assert not leftover.exists()
    assert len(bank.search("mug")) == 1
