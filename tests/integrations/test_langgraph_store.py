"""The LangGraph store, against LangGraph's own in-memory store as the oracle (LangGraph ships no suite for stores)."""

from __future__ import annotations

import itertools
import tempfile
from pathlib import Path
from typing import TypedDict

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from langgraph.graph import START, StateGraph
from langgraph.runtime import Runtime
from langgraph.store.base import GetOp, InvalidNamespaceError, ListNamespacesOp, MatchCondition, PutOp, SearchOp
from langgraph.store.memory import InMemoryStore

from exprag.bank import Bank
from exprag.errors import BankError, ConfigError, RecordError
from exprag.integrations.langgraph_store import BankStore

NAMESPACES = [("users",), ("users", "ann"), ("users", "bob"), ("users", "ann", "likes"), ("docs", "likes")]
VALUES = st.fixed_dictionaries(
    {"n": st.integers(-3, 3) | st.just(2.5)}, optional={"word": st.sampled_from(["tea", "it's"]), "in": st.just({"a": 1})}
)
PUTS = st.tuples(st.sampled_from(NAMESPACES), st.sampled_from(["a", "b"]), st.none() | VALUES).map(lambda given: PutOp(*given))
FILTERS = st.sampled_from(
    [None, {"n": 2}, {"n": 2.0}, {"word": "it's"}, {"n": {"$gte": 0}, "word": "tea"}, {"n": {"$ne": 1}}, {"in": {"a": 1}}]
)
PATHS = st.sampled_from([("users",), ("*", "likes"), ("users", "*"), ("likes",)])
RULES = st.tuples(st.sampled_from(["prefix", "suffix"]), PATHS).map(lambda given: MatchCondition(*given))
SPACES = [("users",), ("users", "ann"), ("users", "bob"), ("users", "ann", "likes"), ("docs", "likes")]
VALUES = st.fixed_dictionaries(
    {"n": st.integers(-3, 3) | st.just(2.5)}, optional={"word": st.sampled_from(["tea", "it's"]), "in": st.just({"a": 1})}
)
PUTS = st.tuples(st.sampled_from(NAMESPACES), st.sampled_from(["a", "b"]), st.none() | VALUES).map(lambda given: PutOp(*given))
FILTERS = st.sampled_from(
    [None, {"n": 2}, {"n": 2.0}, {"word": "it's"}, {"n": {"$gte": 0}, "word": "tea"}, {"n": {"$ne": 1}}, {"in": {"a": 1}}]
)
RULES = st.builds(
    MatchCondition,
    st.sampled_from(["prefix", "suffix"]),
    st.sampled_from([("users",), ("*", "likes"), ("users", "*"), ("likes",)]),
)
SPACES = st.sampled_from([(), ("users",), ("users", "ann"), ("docs",)])
READS = st.one_of(
    st.tuples(st.sampled_from(NAMESPACES), st.sampled_from(["a", "b"])).map(lambda given: GetOp(*given)),
    st.tuples(SPACES, FILTERS).map(lambda given: SearchOp(*given, limit=50)),
    st.tuples(st.none() | st.tuples(RULES), st.sampled_from([None, 1, 2])).map(lambda given: ListNamespacesOp(*given)),
)


def plain(result):
    """Without times, scores and an order that no query gives."""
    if isinstance(result, list) and result and not isinstance(result[0], tuple):
        return sorted((item.namespace, item.key, repr(item.value)) for item in result)
    return (result.namespace, result.key, result.value) if hasattr(result, "key") else result


@pytest.fixture(scope="module")
def place():
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


@pytest.fixture
def store(bank):
    return BankStore(bank)


@settings(
    max_examples=12,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(st.lists(st.lists(PUTS, min_size=1, max_size=5), min_size=1, max_size=3), st.lists(READS, min_size=4, max_size=8))
def test_it_answers_as_the_store_in_memory_does(place, batches, reads):
    ours = BankStore(Bank.create(place / str(next(COUNT))))
    theirs = InMemoryStore()
    for puts in batches:
        assert ours.batch(puts) == theirs.batch(puts)
    for read in reads:
        (mine,), (its,) = ours.batch([read]), theirs.batch([read])
        if isinstance(read, ListNamespacesOp):
            if all(theirs._data.values()):  # it lists namespaces that have become empty, or were only asked for
                assert mine == its
            continue
        assert plain(mine) == plain(its), read


COUNT = itertools.count()


def test_an_item_keeps_its_birth_and_its_fields(store):
    store.put(("users", "ann"), "likes", {"text": "green tea", "deep": {"x": [1, None, "\ud800"]}})
    first = store.get(("users", "ann"), "likes")
    store.put(("users", "ann"), "likes", {"text": "coffee"})
    second = store.get(("users", "ann"), "likes")
    assert first.value["deep"] == {"x": [1, None, "\ud800"]}
    assert second.value == {"text": "coffee"}
    assert first.created_at == second.created_at < second.updated_at
    assert [item.key for item in store.search(("users",))] == ["likes"]
    store.delete(("users", "ann"), "likes")
    assert store.get(("users", "ann"), "likes") is None
    assert store.list_namespaces() == []


def test_search_ranks_filters_and_pages(bank):
    store = BankStore(bank, fields=["text"])
    for number in range(8):
        store.put(("notes",), str(number), {"text": "tea " * (number % 2 + 1) + f"note {number}", "secret": "rain", "n": number})
    store.put(("notes",), "hidden", {"text": "tea"}, index=False)
    store.put(("notes",), "other", {"text": "nothing", "title": "tea"}, index=["title"])
    found = store.search(("notes",), query="tea", limit=20)
    assert len(found) == 9
    assert "hidden" not in {item.key for item in found}
    assert all(a.score >= b.score for a, b in itertools.pairwise(found))
    assert store.search(("notes",), query="rain") == []  # not among the fields
    assert {item.key for item in store.search(("notes",), query="tea", filter={"n": {"$gt": 5}}, limit=1)} < {"6", "7"}
    pages = [store.search(("notes",), query="tea", limit=4, offset=at) for at in (0, 4, 8)]
    assert [item.key for page in pages for item in page] == [item.key for item in found]
    assert store.search(("notes",), query="tea", limit=5, offset=2**40) == []
    assert [item.key for item in store.search(("notes",), limit=2)] == ["other", "hidden"]  # the latest written
    assert len(bank) == 4  # trajectories stay apart


async def test_a_graph_remembers_across_threads_and_processes(bank):
    class State(TypedDict, total=False):
        said: str
        known: list[str]

    async def listen(state: State, runtime: Runtime) -> State:
        await runtime.store.aput(("said",), state["said"], {"text": state["said"]})
        return {"known": [item.value["text"] for item in await runtime.store.asearch(("said",), query="tea")]}

    graph = StateGraph(State).add_node(listen).add_edge(START, "listen")
    first = graph.compile(store=BankStore(bank))
    await first.ainvoke({"said": "I like tea"})
    later = graph.compile(store=BankStore(bank.uri))  # opened anew, as another process would
    assert set((await later.ainvoke({"said": "tea is gone"}))["known"]) == {"I like tea", "tea is gone"}


def test_bad_input_is_told_and_nothing_is_written(store, bank):
    with pytest.raises(InvalidNamespaceError):
        store.put((), "a", {})
    with pytest.raises(RecordError, match="is not JSON"):
        store.batch([PutOp(("a",), "good", {"n": 1}), PutOp(("a",), "bad", {"x": object()})])
    assert store.search(("a",)) == []
    store.put(("a",), "b", {"n": 1})
    with pytest.raises(ConfigError, match=r"\$near"):
        store.search(("a",), filter={"n": {"$near": 1}})
    with pytest.raises(BankError, match="opened at a version"):
        BankStore(Bank.open(bank.uri, bank.version)).put(("a",), "c", {})
