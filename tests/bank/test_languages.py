"""Text in languages that are written without blanks between words, and what no word can be found of."""

from __future__ import annotations

import logging
from pathlib import Path

import pyarrow as pa
import pytest
from lancedb.index import FTS
from langchain_core.documents import Document

from exprag import Step, Task, Trajectory
from exprag.bank import Bank
from exprag.bank.index import tokenizers
from exprag.bank.words import SPACED, UNSPACED, count_wordless, tokenizer_for

GOALS = {
    "zh-mug": "把热的马克杯放进柜子里",
    "zh-plate": "把凉的盘子放在桌子上",
    "ja-pencil": "引き出しに鉛筆を入れてください",
    "ja-mug": "マグカップを温めて棚に置く",
    "th-mug": "อุ่นแก้วแล้ววางบนโต๊ะ",
    "th-pencil": "ใส่ดินสอในลิ้นชัก",
    "en-mug": "put a hot mug in the cabinet",
}
QUERIES = {
    "盘子在哪里": "zh-plate",
    "马克杯": "zh-mug",
    "鉛筆": "ja-pencil",
    "棚のマグカップ": "ja-mug",
    "วางแก้ว": "th-mug",
    "ดินสอ": "th-pencil",
    "a mug": "en-mug",
}


def episode(name: str, goal: str) -> Trajectory:
    task = Task(environment="house", id=name, instruction=goal)
    return Trajectory(task=task, steps=(Step(observation=goal, action="look"),), success=True)


def best(bank: Bank, query: str, strategy: str | None = None) -> str | None:
    hits = bank.search(query, k=1, strategy=strategy)
    return hits[0].trajectory.task.id if hits else None


@pytest.mark.parametrize("strategy", ["task", "step"])
@pytest.mark.parametrize("at_once", [True, False])
def test_each_language_is_found(tmp_path: Path, strategy: str, at_once: bool) -> None:
    bank = Bank.create(tmp_path / "bank", strategies=(strategy,))
    episodes = [episode(name, goal) for name, goal in GOALS.items()]
    batches = [episodes] if at_once else [[one] for one in reversed(episodes)]
    notes = [note for batch in batches for note in bank.add(batch).notes]
    assert {query: best(bank, query) for query in QUERIES} == QUERIES
    assert sum(f"keys of {strategy}: divided into words by dictionary" in note for note in notes) == 1
    assert tokenizers(bank.table.list_indices()) == {strategy: UNSPACED}
    assert {query: best(Bank.open(tmp_path / "bank"), query) for query in QUERIES} == QUERIES


def test_a_new_strategy_fits_what_is_there(tmp_path: Path) -> None:
    bank = Bank.create(tmp_path / "bank")
    bank.add([episode(name, goal) for name, goal in GOALS.items()])
    bank.add_strategy("last_observation")
    assert tokenizers(bank.table.list_indices()) == {"task": UNSPACED, "last_observation": UNSPACED}
    assert best(bank, "盘子在哪里", "last_observation") == "zh-plate"


def test_text_with_blanks_keeps_its_tokenizer(tmp_path: Path) -> None:
    """By dictionary single digits are lost: "mug 1"."""
    bank = Bank.create(tmp_path / "bank")
    report = bank.add([episode("café", "mug 1 in the Café"), episode("über", "Übergröße 2"), episode("ru", "мир и книги")])
    assert report.notes == ()
    assert tokenizers(bank.table.list_indices()) == {"task": SPACED}
    assert [best(bank, query) for query in ("1", "cafe", "книги", "ubergrosse")] == ["café", "café", "ru", "über"]


def test_an_older_bank_says_what_it_cannot_find(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    bank = Bank.create(tmp_path / "bank")
    bank.add([episode(name, goal) for name, goal in GOALS.items()])
    bank.table.create_index("key_task", config=FTS())  # as every bank was indexed once
    old = Bank.open(tmp_path / "bank")
    with caplog.at_level(logging.WARNING, "exprag.bank"):
        assert best(old, "马克杯") is None
        assert best(old, "鉛筆") is None
        assert best(old, "a mug") == "en-mug"
    assert [record.getMessage().split(" If ")[1] for record in caplog.records] == [
        f"it is older and has some: exprag bank optimize {old.uri}"
    ]
    old.optimize()
    assert {query: best(old, query) for query in QUERIES} == QUERIES


def test_documents(tmp_path: Path) -> None:
    documents = Bank.create(tmp_path / "bank").documents()
    documents.add([Document("POST /mugs creates a mug.", id="post")])
    documents.add([Document("列出所有的马克杯", id="zh"), Document("แสดงแก้วทั้งหมด", id="th")])
    assert [documents.search(query, k=1)[0].document.id for query in ("马克杯", "แก้ว", "creates")] == ["zh", "th", "post"]


def test_what_cannot_be_indexed_is_said(tmp_path: Path) -> None:
    bank = Bank.create(tmp_path / "bank")
    report = bank.add([episode("1", "👍 → !"), episode("2", "x" * 41), episode("3", "a mug"), episode("4", "杯子")])
    assert "2 keys of task hold no word that can be indexed" in report.notes
    assert best(bank, "x" * 41) is None


def test_tokenizers_fit_the_letters() -> None:
    fits = {
        SPACED: ["", "put a mug", "Übergröße", "мир", "δοκιμή", "책상 위에", "كتاب", "👍", "3.14"],
        UNSPACED: ["杯", "mug を", "カップ", "แก้ว", "ຈອກ", "ខ្ញុំ", "စားပွဲ", "𠮷"],
    }
    for tokenizer, texts in fits.items():
        assert {text: tokenizer_for(pa.array([text])) for text in texts} == dict.fromkeys(texts, tokenizer)
        assert {text: tokenizer_for(pa.array([["a", text], [], None])) for text in texts} == dict.fromkeys(texts, tokenizer)
    assert count_wordless(pa.array(["", "—", "x" * 41, "x" * 40, f"{'x' * 41} y", "杯", "1", None])) == 3
