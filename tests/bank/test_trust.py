"""Trust: what a search returns by itself, and what it does not."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from exprag.bank import AddReport, Bank, Filter
from exprag.errors import BankError, ConfigError
from exprag.files import write_jsonl
from exprag.trajectory import Provenance

ANY = Filter(trust=("trusted", "quarantined"))


def test_unrewarded_rows_are_quarantined_and_rewarded_ones_trusted(bank, episode):
    won, lost, unknown = episode(1), episode(2, success=False), episode(3, success=None)
    assert bank.add([won, lost, unknown]) == AddReport(added=3, quarantined=1)
    assert {h.trajectory.id for h in bank.search("mug")} == {won.id, lost.id}
    assert {h.trajectory.id for h in bank.search("mug", where=ANY)} == {won.id, lost.id, unknown.id}
    assert [h.trajectory for h in bank.search("mug", where=Filter(trust="quarantined"))] == [unknown]
    assert len(bank) == len(list(bank)) == 3
    assert bank.info().trust == {"trusted": 2, "quarantined": 1}
    assert bank.add([unknown], trust=True).added == 0  # what is there is left as it is
    assert len(bank.search("mug")) == 2


def test_a_file_is_quarantined_until_somebody_vouches_for_it(bank, episode, tmp_path):
    write_jsonl(tmp_path / "theirs.jsonl", [episode(n) for n in range(40)])
    report = bank.import_jsonl(tmp_path / "theirs.jsonl")
    assert (report.added, report.quarantined) == (40, 40)
    assert "40 of them quarantined" in str(report)
    assert bank.search("mug") == []
    assert bank.trust([episode(7).id]) == 1
    assert [h.trajectory for h in bank.search("mug")] == [episode(7)]
    assert bank.trust(Filter(environment="house")) == 39
    assert bank.trust(Filter(environment="house")) == 0
    assert len(bank.search("mug", k=99)) == 40
    assert bank.quarantine(Filter(ids=[episode(7).id])) == 1
    assert len(bank.search("mug", k=99)) == 39
    other = Bank.create(tmp_path / "vouched")
    assert other.import_jsonl(tmp_path / "theirs.jsonl", trust=True).quarantined == 0
    assert len(other.search("mug", k=99)) == 40


def test_quarantine_goes_with_versions(bank, episode):
    bank.add([episode(1), episode(2)])
    then = bank.version
    bank.quarantine([episode(1).id])
    assert len(bank.search("mug")) == 1
    assert len(Bank.open(bank.uri, then).search("mug")) == 2
    for change in (bank.trust, bank.quarantine):
        with pytest.raises(BankError, match="whole bank"):
            change(Filter())
    with pytest.raises(BankError, match="cannot change"):
        Bank.open(bank.uri, then).trust([episode(1).id])


def test_a_quarantined_row_is_never_among_near_ties(tmp_path, hashing, episode):
    bank = Bank.create(tmp_path / "v", hashing(), strategies=("task", "step"))
    bank.add([episode(n, success=None if n % 3 else True) for n in range(120)])
    for strategy, mode in (("task", "vector"), ("task", "lexical"), ("task", "hybrid"), ("step", "vector"), ("step", "hybrid")):
        hits = bank.search("put a clean mug on the desk room", strategy=strategy, k=99, mode=mode)
        assert len(hits) == 40
        assert all(h.trajectory.success for h in hits)


def test_deletion_by_where_rows_come_from(bank, episode):
    def of(n, **origin):
        return episode(n, provenance=Provenance(**origin), source=origin.pop("source", "agent"))

    episodes = [
        of(1, run="a", model="m1", created="2026-01-01T00:00:00+00:00"),
        of(2, run="a", model="m2", created="2026-02-01T00:00:00+00:00"),
        of(3, run="b", model="m1", created="2026-02-01T00:00:00.500000+00:00"),
        of(4, run="b", model="m2", created="2026-03-01T00:00:00Z"),
        of(5),
    ]
    bank.add(episodes)
    expected = {
        Filter(model="m2"): {2, 4},
        Filter(created_after="2026-02-01"): {2, 3, 4},
        Filter(created_before="2026-02-01"): {1},
        Filter(created_before=datetime(2026, 2, 1, 0, 0, 1, tzinfo=UTC)): {1, 2, 3},
        Filter(created_after="2026-02-01T01:00:00+01:00", created_before="2026-03-01"): {2, 3},
        Filter(run="b", model="m1"): {3},
    }
    for where, numbers in expected.items():
        assert {int(t.task.id[5:]) for t in bank.trajectories(where)} == numbers
        assert {int(t.task.id[5:]) for t in episodes if where.allows(t)} == numbers
    assert bank.delete(Filter(created_before="2026-03-01", model="m1")) == 2
    assert bank.delete(Filter(source="agent", run="a")) == 1
    assert sorted(t.task.id for t in bank) == ["task-4", "task-5"]
    for wrong in (lambda: Filter(created_after="yesterday"), lambda: Filter(created_before=7), lambda: Filter(trust="maybe")):
        with pytest.raises(ConfigError):
            wrong()
