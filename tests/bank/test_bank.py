"""The bank's everyday work: make, add, search, read, version, delete, export."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from exprag import Step
from exprag.bank import AddReport, Bank, Filter
from exprag.errors import BankError
from exprag.files import read_jsonl
from exprag.trajectory import Provenance


def test_added_is_found_and_comes_back_whole(bank, episode):
    episodes = [
        episode(1, "put a clean mug on the desk"),
        episode(2, "cool some lettuce and put it in the fridge", success=False, score=-0.5),
        episode(3, "boil water", environment="lab", steps=[Step(observation="a \ud800 é 漢", action="heat", thought=None)]),
    ]
    assert bank.add(episodes) == AddReport(added=3, skipped_existing=0)
    hits = bank.search("where does the lettuce go, in the fridge?", k=2)
    assert hits[0].trajectory == episodes[1]
    assert hits[0].score > 0
    assert bank.get([t.id for t in reversed(episodes)]) == list(reversed(episodes))
    assert list(bank) == list(Bank.open(bank.uri)) == episodes
    assert len(bank) == 3


def test_adding_twice_is_adding_once(bank, episode):
    first, second = episode(1), episode(2)
    assert bank.add([first, first, second]) == AddReport(2, 1)
    version = bank.version
    assert bank.add(t for t in (second, first)) == AddReport(0, 2)
    assert bank.version == version
    assert len(bank) == 2


def test_add_takes_any_number(bank, episode, monkeypatch):
    monkeypatch.setattr("exprag.bank.writer._COMMIT_ROWS", 300)
    assert bank.add(episode(n) for n in range(700)) == AddReport(700, 0)
    assert bank.add([episode(n) for n in range(690, 710)]) == AddReport(10, 10)
    assert len({t.id for t in bank}) == len(bank) == 710
    assert bank.add([]) == AddReport()


def test_an_empty_bank_answers(bank, hashing, tmp_path):
    vectors = Bank.create(tmp_path / "vectors", hashing())
    for empty in (bank, vectors):
        assert empty.search("mug") == []
        assert list(empty) == []
        assert len(empty) == 0
        assert bool(empty)
        assert empty.info().rows == 0
        assert empty.delete(["nobody"]) == 0


@pytest.mark.parametrize("text", ["", "   ", "\x00", "the of and", "\ud800"])
def test_a_query_without_words_finds_nothing(bank, episode, text):
    bank.add([episode()])
    assert bank.search(text) == []
    assert bank.search("mug", k=0) == []


def test_query_syntax_is_only_text(bank, episode):
    bank.add([episode(1, "put a mug on the desk"), episode(2, "find the lamp")])
    for text in ('mug" OR lamp:*', "+lamp -mug", "key_task:lamp", "(lamp AND", "lamp~2^3", "'; DROP TABLE lamp"):
        assert "lamp" in {h.trajectory.task.instruction.split()[-1] for h in bank.search(text)}


def test_equal_scores_are_ordered_by_id_however_they_came_in(tmp_path, episode):
    episodes = [episode(n) for n in range(400)]  # all with one instruction
    forward, backward = Bank.create(tmp_path / "a"), Bank.create(tmp_path / "b")
    forward.add(episodes)
    for start in range(360, -1, -40):
        backward.add(reversed(episodes[start : start + 40]))
    backward.optimize()
    expected = sorted(t.id for t in episodes)[:3]
    for bank in (forward, backward):
        assert [h.trajectory.id for h in bank.search("clean mug", k=3)] == expected


def test_filter_applies_before_the_search(bank, episode):
    bank.add([episode(n) for n in range(200)])
    bank.add([episode(500, "put a mug away", type="rare", success=False)])
    hits = bank.search("put a clean mug on the desk", k=2, where=Filter(types=("rare",)))
    assert [h.trajectory.task.type for h in hits] == ["rare"]
    assert bank.count(Filter(success=False)) == 1
    assert [t.task.type for t in bank.trajectories(Filter(success=False))] == ["rare"]


def test_readers_see_commits_of_others_unless_pinned(bank, episode):
    bank.add([episode(1)])
    then = bank.version
    reader, pinned = Bank.open(bank.uri), Bank.open(bank.uri, version=then)
    bank.add([episode(n, "find the lamp") for n in range(2, 300)])
    bank.optimize()
    bank.delete([episode(1).id])
    assert len(reader) == 298
    assert reader.search("mug") == []
    assert (len(pinned), pinned.version) == (1, then)
    assert pinned.search("mug")[0].trajectory == episode(1)
    for write in (lambda: pinned.add([episode(9)]), lambda: pinned.delete(["x"]), pinned.optimize):
        with pytest.raises(BankError, match="cannot change"):
            write()


def test_pruned_versions_are_gone_and_say_so(bank, episode):
    bank.add([episode(1)])
    then = bank.version
    bank.add([episode(2)])
    bank.optimize()
    assert len(Bank.open(bank.uri, then)) == 1
    bank.optimize(prune_older_than=timedelta(0))
    with pytest.raises(BankError, match=f"no version {then}"):
        Bank.open(bank.uri, then)
    assert len(bank) == 2


def test_small_writes_are_merged_by_themselves(bank, episode):
    for n in range(70):
        bank.add([episode(n)])
    assert bank.table.stats()["fragment_stats"]["num_fragments"] < 35
    assert len(bank.search("mug", k=200)) == 70


def test_delete_by_ids_and_by_filter(bank, episode):
    bank.add([episode(1), episode(2), episode(3, provenance=Provenance(run="bad"))])
    assert bank.delete([episode(1).id, "nobody"]) == 1
    assert bank.delete(Filter(run="bad")) == 1
    assert [t.task.id for t in bank] == ["task-2"]
    with pytest.raises(BankError, match="whole bank"):
        bank.delete(Filter())
    with pytest.raises(BankError, match="no trajectory 'nobody'"):
        bank.get([episode(2).id, "nobody"])
    assert bank.add([episode(1)]).added == 1


def test_add_strategy_later(bank, episode):
    bank.add([episode(n) for n in range(20)])
    with pytest.raises(BankError, match="add-strategy"):
        bank.search("room", strategy="trajectory")
    bank.add_strategy("trajectory")
    version = bank.version
    bank.add_strategy("trajectory")
    assert (bank.strategies, bank.version) == (("task", "trajectory"), version)
    bank.add([episode(20)])
    for number in (7, 20):
        assert bank.search(f"You are in room {number}.", strategy="trajectory", k=1)[0].trajectory == episode(number)
    assert Bank.open(bank.uri).strategies == ("task", "trajectory")


def test_a_half_built_strategy_is_not_served_and_is_begun_anew(bank, episode):
    from exprag.bank.schema import key_fields

    bank.add([episode(1)])
    bank.table.add_columns(key_fields("trajectory", 0, False, "building_"))  # where a killed writer stops
    opened = Bank.open(bank.uri)
    assert opened.strategies == ("task",)
    opened.add([episode(2)])
    opened.add_strategy("trajectory")
    assert len(opened.search("room", strategy="trajectory")) == 2


def test_a_strategy_added_between_rows_and_commit_gets_their_keys_too(bank, episode):
    rows = bank.writer().rows([episode(1)], ["trusted"])
    Bank.open(bank.uri).add_strategy("trajectory")
    assert bank.writer().commit([rows]).added == 1
    assert len(bank.search("room", strategy="trajectory")) == 1


def test_open_or_create_completes_what_is_missing(tmp_path, episode):
    first = Bank.open_or_create(tmp_path / "bank")
    first.add([episode()])
    again = Bank.open_or_create(tmp_path / "bank", strategies=("task", "trajectory"))
    assert again.strategies == ("task", "trajectory")
    assert len(again) == 1


def test_a_bank_whose_maker_was_killed_before_the_index_is_mended(bank, episode):
    for index in bank.table.list_indices():
        bank.table.drop_index(index.name)
    bank.table.add(bank.writer().rows([episode()], ["trusted"]))
    assert len(Bank.open(bank.uri).search("mug")) == 1


def test_relative_and_file_uris(tmp_path, episode, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Bank.create("runs/bank").add([episode()])
    for uri in ("runs/bank", Path("runs/bank"), f"file://{tmp_path}/runs/bank", tmp_path / "runs" / "bank"):
        assert len(Bank.open(uri)) == 1


def test_info_counts(bank, episode):
    bank.add([episode(1), episode(2, success=False), episode(3, success=None, type="cool", fingerprint="house@1")])
    about = bank.info()
    assert (about.rows, about.version, about.strategies) == (3, bank.version, ("task",))
    assert about.outcomes == {"success": 1, "failure": 1, "unknown": 1}
    assert about.types == {"put": 2, "cool": 1}
    assert about.fingerprints == {"": 2, "house@1": 1}
    assert about.size_bytes > 0


def test_export_and_import(bank, episode, tmp_path):
    episodes = [episode(n, f"find lamp {n} \ud800", success=n % 2 == 0) for n in range(10)]
    bank.add(episodes)
    assert bank.export_jsonl(tmp_path / "all.jsonl") == 10
    assert bank.export_jsonl(tmp_path / "won.jsonl", Filter(success=True)) == 5
    assert list(read_jsonl(tmp_path / "all.jsonl")) == episodes
    other = Bank.create(tmp_path / "other")
    other.import_jsonl(tmp_path / "won.jsonl")
    report = other.import_jsonl(tmp_path / "all.jsonl")
    assert (report.added, report.skipped_existing, report.bad) == (5, 5, ())
    assert sorted(t.id for t in other) == sorted(t.id for t in bank)


def test_import_names_bad_lines_and_takes_the_rest(bank, episode, tmp_path):
    good = [episode(n).to_json() for n in range(3)]
    newer = good[2].replace('"schema_version":1', '"schema_version":99')
    lines = [good[0], "not json", "", good[1].replace('"house"', '""'), newer, good[1], good[2][:40]]
    (tmp_path / "in.jsonl").write_text("\n".join(lines))
    report = bank.import_jsonl(tmp_path / "in.jsonl")
    assert (report.added, [row.line for row in report.bad]) == (2, [2, 4, 5, 7])
    assert "schema version 99" in report.bad[2].reason
    assert "environment" in report.bad[1].reason


def test_a_commit_of_another_handle_is_seen_by_the_next_search(tmp_path, episode, monkeypatch):
    """Though a search looks for commits only where the time of the last one may have changed."""
    mine = Bank.create(tmp_path / "bank")
    mine.add([episode(1, "a red lamp")])
    theirs = Bank.open(tmp_path / "bank")
    monkeypatch.setattr("exprag.bank.store._STEP_NS", -(10**18))  # every stamp counts, however new
    for number in range(2, 12):
        theirs.add([episode(number, f"a red lamp {number}")])
        assert len(mine.search("red lamp", k=99)) == number
    looks = []
    monkeypatch.setattr("exprag.bank.reader.version_of", lambda *_, **__: looks.append(1))
    assert len(mine.search("red lamp", k=99)) == 11
    assert not looks
