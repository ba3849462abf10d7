"""Items in a bank: a table of their own beside trajectories and documents, with its own versions. Nothing is deleted silently:
an item is retired with a reason, and stays."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from exprag.bank.documents.collection import Documents
from exprag.errors import BankError, closest
from exprag.items import Item, join

if TYPE_CHECKING:
    from langchain_core.documents import Document

    from exprag.bank.bank import Bank

ITEMS = "items"


class Items:
    """The items of a bank. `version` pins them to what the table held then; its versions are not the bank's."""

    def __init__(self, bank: Bank, *, version: int | None = None) -> None:
        self.documents = Documents(bank, ITEMS, version=version) if version is not None else bank.documents(ITEMS)

    @property
    def version(self) -> int:
        """Grows with every commit; 0 while there are none."""
        return self.documents.version

    def __len__(self) -> int:
        return len(self.documents)

    def __iter__(self) -> Iterator[Item]:
        return self.select()

    def select(self, **where: Any) -> Iterator[Item]:
        """The items with these fields: `select(kind="hint", type="clean")`."""
        yield from map(to_item, self.documents.documents(where or None))

    def search(self, text: str, k: int, where: Mapping[str, Any] | None = None, *, mode: str = "auto") -> dict[str, float]:
        """Scores by id of the k items nearest to a text, best first; see `Documents.search`."""
        return {str(hit.document.id): hit.score for hit in self.documents.search(text, k, where, mode=mode)}

    def add(self, items: Iterable[Item]) -> int:
        """Add items, near-duplicates joined, also with those that are there; returns how many are new. Adding twice is adding
        once. Nobody else writes to the bank meanwhile."""
        fresh = list(items)
        if not fresh:
            return 0
        with self.documents.bank.writing():
            before = list(self)
            after = join(fresh, joined=before)
            stored = {item.id: item for item in before}
            self.documents.add(to_document(item) for item in after if stored.get(item.id) != item)
        return len(after) - len(before)

    def replace(self, ids: Collection[str], items: Iterable[Item], reason: str) -> None:
        """Retire the items of these ids, as far as they are there, with the reason, and put others in as they are: none is joined
        with one that is alike. What was retired before stays so."""
        with self.documents.bank.writing():
            stored = {item.id: item for item in self}
            after = {item.id: item for item in items}
            for id in {id for id in ids if id in stored and id not in after}:
                after[id] = stored[id].model_copy(update={"retired": stored[id].retired or reason})
            for id, item in after.items():
                if id in stored and stored[id].retired:
                    after[id] = item.model_copy(update={"retired": stored[id].retired})
            self.documents.add(to_document(item) for id, item in after.items() if stored.get(id) != item)

    def retire(self, id: str, reason: str) -> Item:
        """Show an item to no agent any more; it stays, with the reason. Raises BankError for an unknown one."""
        if not reason.strip():
            raise BankError("A retired item keeps the reason, and none is named.", cure="Say why.")
        with self.documents.bank.writing():
            stored = {item.id: item for item in self}
            if id not in stored:
                raise BankError(f"The bank {self.documents.bank.uri} has no item {id!r}.", cure=closest(id, list(stored)))
            item = stored[id].model_copy(update={"retired": reason.strip()})
            self.documents.add([to_document(item)])
        return item


def to_document(item: Item) -> Document:
    """The item as a document: its text is searched, its fields are metadata that a filter can ask for."""
    from langchain_core.documents import Document

    metadata = item.model_dump(mode="json", exclude={"id", "text"})
    return Document(id=item.id, page_content=item.text, metadata=metadata)


def to_item(document: Document) -> Item:
    return Item.from_dict({**document.metadata, "id": document.id, "text": document.page_content})
