"""Items in a bank: near-duplicates joined, retired with a reason, versioned beside the trajectories."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest
from langchain_core.documents import Document

from exprag.bank import Bank
from exprag.bank.files import copy_bank
from exprag.bank.items import Items
from exprag.bank.schema import COLLECTIONS, collections_of
from exprag.errors import BankError
from exprag.items import Item, ItemSource, join, normalised, similarity


def hint(text: str, episode: str = "e1", **fields: object) -> Item:
    source = ItemSource(episode=episode, task=f"toy:{episode}")
    return Item.from_dict({"text": text, "environment": "toy", "type": "fetch", "sources": [source], **fields})


def test_items_are_kept_with_all_that_they_say(tmp_path: Path) -> None:
    items = Items(Bank.create(tmp_path / "bank"))
    assert (len(items), items.version) == (0, 0)
    item = hint("Look first.", tags=["fetch"], model="m", distiller="d", flags=["odd"])
    assert items.add([item]) == 1
    assert list(items) == [item]
    assert items.add([item]) == 0
    assert list(items.select(type="carry")) == []


def test_near_duplicates_are_one_and_keep_the_origin_of_both(tmp_path: Path) -> None:
    one, other = "Open the {container} before you look.", "open the {containers} before you look"
    assert similarity(one, other) >= 0.85
    assert similarity("Look first.", "Go away.") < 0.85
    items = Items(Bank.create(tmp_path / "bank"))
    assert items.add([hint(one), hint(other, "e2"), hint("Take it.", "e2")]) == 2
    assert items.add([hint(other, "e3")]) == 0
    joined = next(items.select(type="fetch"))
    stored = {item.text: [source.episode for source in item.sources] for item in items}
    assert stored == {one: ["e1", "e2", "e3"], "Take it.": ["e2"]}
    assert joined.usable


def test_what_is_joined_already_is_not_compared_again() -> None:
    one, other, new = hint("Look first."), hint("look first", "e2"), hint("Look first!", "e3")
    assert join([new], joined=[one, other])[1:] == [other]
    assert [source.episode for source in join([new], joined=[one, other])[0].sources] == ["e1", "e3"]


def test_an_item_that_is_retired_while_others_are_added_stays_retired(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bank = Bank.create(tmp_path / "bank")
    items = Items(bank)
    items.add([hint("Look first.")])
    (item,) = items
    retiring = threading.Thread(target=lambda: Items(Bank.open(tmp_path / "bank")).retire(item.id, "it harms"))

    def join_meanwhile(*arguments: Any, **options: Any) -> list[Item]:
        retiring.start()
        retiring.join(0.5)  # it waits for the lock
        return join(*arguments, **options)

    monkeypatch.setattr("exprag.bank.items.join", join_meanwhile)
    items.add([hint("look first", "e2")])
    retiring.join()
    (item,) = items
    assert item.retired == "it harms"
    assert len(item.sources) == 2


def test_types_and_kinds_are_joined_apart() -> None:
    same = "Look first."
    items = [hint(same), hint(same, "e2", type="carry"), hint(same, "e3", kind="insight"), hint(same, "e4", environment="other")]
    assert len(join(items)) == 4


def test_an_item_is_retired_with_a_reason_and_stays_retired(tmp_path: Path) -> None:
    items = Items(Bank.create(tmp_path / "bank"))
    items.add([hint("Look first.")])
    (item,) = items
    with pytest.raises(BankError, match="keeps the reason"):
        items.retire(item.id, "  ")
    with pytest.raises(BankError, match="no item 'nobody'"):
        items.retire("nobody", "why")
    items.retire(item.id, "it harms")
    items.add([hint("look first", "e2")])  # found again: it does not come back
    (stored,) = items
    assert stored.retired == "it harms"
    assert len(stored.sources) == 2


def test_earlier_versions_can_be_read(tmp_path: Path) -> None:
    bank = Bank.create(tmp_path / "bank")
    items = Items(bank)
    items.add([hint("Look first.")])
    version = items.version
    items.add([hint("Take what you see.", "e2")])
    assert len(items) == 2
    assert len(Items(bank, version=version)) == 1


def test_items_are_replaced_as_they_are_and_the_earlier_ones_retired(tmp_path: Path) -> None:
    bank = Bank.create(tmp_path / "bank")
    items = Items(bank)
    first, other = hint("Look round before you go."), hint("Wait.")
    items.add([first, other])
    alike = hint("Look around before you go.", "e2")
    items.replace([first.id, "nobody"], [alike, other], "written again")
    states = {item.text: item.retired for item in items}
    assert states == {first.text: "written again", alike.text: "", "Wait.": ""}
    before = bank.version
    items.replace([first.id], [alike, other], "written again")
    assert bank.version == before
    items.replace([alike.id], [first], "again")  # what was retired does not come back
    assert {item.text: item.retired for item in items}[first.text] == "written again"


def texts(bank: Bank) -> set[str]:
    return {item.text for item in Items(bank)}


def test_a_version_of_the_bank_has_the_items_of_its_time(tmp_path: Path) -> None:
    bank = Bank.create(tmp_path / "bank")
    versions = [bank.version]
    for text in ("Look first.", "Take what you see.", "Put it where it belongs."):
        Items(bank).add([hint(text, text)])
        versions.append(bank.version)
    (first, *_) = Items(bank)
    Items(bank).retire(first.id, "it harms")
    assert Items(bank).add([hint("Look first.", "Look first.")]) == 0
    assert versions == sorted(set(versions))
    assert [len(texts(Bank.open(bank.uri, version))) for version in versions] == [0, 1, 2, 3]
    assert all(item.usable for item in Items(Bank.open(bank.uri, versions[-1])))
    assert [record.what for record in bank.history()[:2]] == ["items changed"] * 2
    before = bank.version
    Items(bank).add([hint("Look first.", "Look first.")])  # nothing new: nothing is written
    assert bank.version == before


def test_a_copy_of_a_version_has_its_items_and_grows_by_itself(tmp_path: Path) -> None:
    bank = Bank.create(tmp_path / "bank")
    empty = bank.version
    Items(bank).add([hint("Look first.")])
    version = bank.version
    Items(bank).add([hint("Take what you see.", "e2")])
    copy_bank(bank.uri, tmp_path / "none", empty)
    copy_bank(bank.uri, tmp_path / "one", version)
    assert texts(Bank.open(tmp_path / "none")) == set()
    copy = Bank.open(tmp_path / "one")
    assert texts(copy) == texts(Bank.open(copy.uri, copy.version)) == {"Look first."}
    Items(copy).add([hint("Go away.", "e3")])
    assert texts(Bank.open(copy.uri, copy.version)) == {"Look first.", "Go away."}
    assert texts(bank) == {"Look first.", "Take what you see."}


def test_what_a_killed_writer_left_goes_with_the_next_version(tmp_path: Path) -> None:
    bank = Bank.create(tmp_path / "bank")
    items = Items(bank)
    items.add([hint("Look first."), hint("Take what you see.", "e2")])
    version = bank.version
    table = bank.store.connect().open_table("items")  # as one that was killed before the bank knew of it
    table.delete(f"id = '{hint('Look first.').id}'")
    assert texts(Bank.open(bank.uri, version)) == {"Look first.", "Take what you see."}
    items.add([hint("Take what you see.", "e2")])
    assert bank.version > version
    assert texts(Bank.open(bank.uri, bank.version)) == {"Take what you see."}


def test_versions_from_before_that_read_the_latest_items(tmp_path: Path) -> None:
    bank = Bank.create(tmp_path / "bank")
    bank.table.update_field_metadata({"path": "id", "metadata": {COLLECTIONS: None}})
    old = bank.version
    assert collections_of(bank.table.schema) is None
    Items(bank).add([hint("Look first.")])
    version = bank.version
    Items(bank).add([hint("Take what you see.", "e2")])
    assert len(texts(Bank.open(bank.uri, old))) == 2
    assert texts(Bank.open(bank.uri, version)) == {"Look first."}


def test_the_first_note_of_an_older_bank_names_its_other_collections(tmp_path: Path) -> None:
    bank = Bank.create(tmp_path / "bank")
    bank.documents().add([Document("how to open a fridge")])
    bank.table.update_field_metadata({"path": "id", "metadata": {COLLECTIONS: None}})
    Items(bank).add([hint("Look first.")])
    pinned = Bank.open(bank.uri, bank.version)
    assert len(pinned.documents()) == 1
    assert texts(pinned) == {"Look first."}


@pytest.mark.parametrize(
    ("text", "expected"), [(" - open it;  \n now ", "Open it; now."), ("1. Go!", "Go."), ("", ""), ("...", "")]
)
def test_texts_are_normalised(text: str, expected: str) -> None:
    assert normalised(text) == expected
