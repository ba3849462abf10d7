"""The memory record: what stays, what is replaced, and what a state of another version says."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exprag import MemoryState
from exprag.errors import RecordError
from exprag.memory import PlacedBlock
from exprag.trajectory import Recalled

ITEMS = tuple(Recalled(id=name, score=0.5) for name in "abc")


def memory(text: str, step: int, *items: Recalled) -> MemoryState:
    return MemoryState.from_text(text, step).model_copy(update={"recalled": items, "query": text})


def test_a_block_that_comes_back_stays_where_it_was() -> None:
    first, again, other = memory("one", 0, ITEMS[0]), memory("one", 3, ITEMS[0]), memory("two", 4, ITEMS[1])
    assert first.replaced_by(again).blocks == (PlacedBlock(text="one", step=0),)
    assert first.replaced_by(other) == other


def test_a_growing_memory_keeps_earlier_blocks() -> None:
    grown = memory("one", 0, ITEMS[0]).grown_by(memory("two", 2, ITEMS[1])).grown_by(memory("", 5))
    assert [(block.text, block.step) for block in grown.blocks] == [("one", 0), ("two", 2)]
    assert grown.text == "two"
    assert grown.ids == {"a", "b"}
    assert grown.size(len) == 6


def test_nothing_shown_is_no_block() -> None:
    assert (MemoryState().text, MemoryState().blocks, MemoryState.from_text("").blocks) == ("", (), ())


@given(st.text(max_size=20), st.integers(0, 50))
def test_a_state_is_plain_json_and_reads_back(text: str, step: int) -> None:
    state = memory(text, step, *ITEMS)
    assert MemoryState.of(state.to_dict()) == state == MemoryState.from_json(state.to_json())
    assert MemoryState.of(None) is None
    assert MemoryState.of(state) is state


def test_a_thread_of_another_version_is_told_so() -> None:
    old = {"text": "a block", "at": 0, "earlier": [], "recalled": []}
    with pytest.raises(RecordError, match="Another version of exprag wrote it"):
        MemoryState.of(old)


def test_it_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="frozen"):
        MemoryState().query = "x"  # type: ignore[misc]
