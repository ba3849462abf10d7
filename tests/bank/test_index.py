"""Vector indices: chosen by size, said aloud, and measured."""

from __future__ import annotations

import re

import numpy as np
import pytest

from exprag.bank import Bank, Filter
from exprag.bank.index import plan, vector_indices
from exprag.errors import BankError, ConfigError


class Numbered:
    """Unit vectors in clusters: the vector of a text is drawn with the number in it as seed."""

    spec = "numbered:32"

    def encode_query(self, text: str) -> np.ndarray:
        number = int("".join(filter(str.isdigit, text)) or 0)
        centre = np.random.default_rng(number % 50).normal(size=32)
        vector = centre + 0.7 * np.random.default_rng(1_000 + number).normal(size=32)
        return (vector / np.linalg.norm(vector)).astype(np.float32)

    def encode_keys(self, texts: list[str]) -> np.ndarray:
        return np.stack([self.encode_query(text) for text in texts])


def test_the_plan_goes_by_size():
    assert [plan(n).kind for n in (0, 9_999, 10_000, 299_999, 300_000)] == ["exact", "exact", "ivf_flat", "ivf_flat", "ivf_rq"]
    assert (plan(10_000).partitions, plan(10**6).partitions, plan(10**9).partitions) == (200, 1000, 4096)
    assert plan(20_000, "ivf_hnsw_sq")[:2] == ("ivf_hnsw_sq", 1)
    assert [plan(n, "ivf_hnsw_sq").kind for n in (100, 20_000)] == ["exact", "ivf_hnsw_sq"]
    assert plan(10**6, "exact").kind == "exact"


@pytest.fixture
def small(monkeypatch) -> None:
    """Indices pay from 300 vectors on, here: their making takes the time of its training, whatever the size."""
    monkeypatch.setattr("exprag.bank.index._FEW", 300)


@pytest.mark.usefixtures("small")
def test_a_bank_makes_its_index_by_itself_and_makes_it_anew_as_it_grows(tmp_path, episode):
    bank = Bank.create(tmp_path / "bank", Numbered())
    assert bank.add(episode(n, f"task {n}") for n in range(250)).notes == ()
    assert bank.index_report()[0].kind == "exact"
    grown = bank.add(episode(n, f"task {n}") for n in range(250, 350))
    assert grown.notes == ("index of task: ivf_flat, 36 partitions",)
    assert "index of task: ivf_flat" in str(grown)
    assert bank.add(episode(n, f"task {n}") for n in range(350, 600)).notes == ()
    assert bank.add(episode(n, f"task {n}") for n in range(600, 1_400)).notes == ("index of task: ivf_flat, 74 partitions",)
    (report,) = bank.index_report(sample=40)
    assert (report.kind, report.partitions, report.vectors, report.queries) == ("ivf_flat", 74, 1_400, 40)
    assert report.recall == 1.0
    assert report.ms > 0
    assert "recall@10 1.000" in str(report)
    encoder = Numbered()
    keys = encoder.encode_keys([t.task.instruction for t in bank])
    for number in (5, 2_999):
        query = encoder.encode_query(f"task {number}")
        hits = bank.search(f"task {number}", k=10)
        assert [h.score for h in hits] == pytest.approx(np.sort(keys @ query)[::-1][:10].tolist(), abs=1e-5)
    narrow = Filter(ids=[episode(n, f"task {n}").id for n in range(0, 1_400, 125)])
    assert len(bank.search("task 5", k=99, where=narrow)) == 12  # a narrow filter never makes the answer short


def partitions_ranked(bank: Bank) -> int:
    query = bank.table.search(Numbered().encode_query("task 1"), vector_column_name="vector_task").distance_type("dot")
    return int(re.findall(r"partitions_ranked=(\d+)", query.minimum_nprobes(1).maximum_nprobes(1).limit(5).analyze_plan())[0])


@pytest.mark.usefixtures("small")
def test_upkeep_keeps_the_partitions_and_mends_an_index_in_pieces(tmp_path, episode):
    bank = Bank.create(tmp_path / "bank", Numbered())
    bank.add(episode(n, f"task {n}") for n in range(400))
    for _ in range(2):
        bank.optimize()
        assert partitions_ranked(bank) > 10  # of twenty, less what is tiny; LanceDB by itself would leave one
    for part in range(10):
        bank.table.add(bank.writer().rows([episode(n, f"task {n}") for n in range(400 + part, 401 + part)], ["trusted"]))
        bank.optimize()
        (name,) = [index.name for index in bank.table.list_indices() if index.columns == ["vector_task"]]
        assert bank.table.index_stats(name).num_indices <= 8
    assert len(bank.search("task 405", k=410)) == 410


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("kind", ["ivf_sq", "ivf_rq", "ivf_hnsw_sq"])
def test_an_index_of_each_kind_finds(tmp_path, episode, kind):
    bank = Bank.create(tmp_path / "bank", Numbered(), index=kind)
    note = bank.add(episode(n, f"task {n}") for n in range(400)).notes[0]
    assert note.startswith(f"index of task: {kind}")
    assert Bank.open(bank.uri, encoder=Numbered()).index_report()[0].recall >= 0.95
    (report,) = bank.index(kind="exact")
    assert (report.kind, report.recall, vector_indices(bank.table.list_indices())) == ("exact", 1.0, {})
    (report,) = bank.index("task")
    assert (report.kind, report.why) == (kind, "as requested")
    assert report.seconds > 0
    assert len(bank.search("task 3", k=30)) == 30


def test_what_cannot_be_indexed(tmp_path, bank, hashing, episode):
    with pytest.raises(BankError, match="is lexical"):
        bank.index()
    with pytest.raises(ConfigError, match="auto, exact, ivf_flat"):
        Bank.create(tmp_path / "v", hashing(), index="annoy")
    vectors = Bank.create(tmp_path / "v", hashing())
    assert vectors.index_report()[0].recall is None
    vectors.add([episode()])
    with pytest.raises(BankError, match="no keys of the query strategy 'step'"):
        vectors.index("step")


def test_filter_columns_are_indexed_once_it_pays(bank, episode):
    bank.add(episode(n) for n in range(50))
    indexed = {index.columns[0] for index in bank.table.list_indices()}
    assert indexed == {"id", "key_task"}
    bank.add(episode(n, type=f"type {n % 3}", success=n % 2 == 0) for n in range(50, 2_100))
    indexed = {index.columns[0] for index in bank.table.list_indices()}
    assert indexed == {"id", "key_task", "task_key", "task_group", "environment", "type", "success", "trust"}
    assert bank.count(Filter(types="type 1", success=True)) == sum(n % 3 == 1 and n % 2 == 0 for n in range(50, 2_100))
