"""The adapters to LangChain, by langchain-tests' own suites and beyond them."""

from __future__ import annotations

from pathlib import Path

import pytest
from langchain_core.documents import Document
from langchain_core.embeddings import DeterministicFakeEmbedding
from langchain_core.retrievers import BaseRetriever
from langchain_core.tools import BaseTool
from langchain_core.vectorstores import VectorStore
from langchain_tests.integration_tests import RetrieversIntegrationTests, ToolsIntegrationTests, VectorStoreIntegrationTests

from exprag.bank import Bank, Filter
from exprag.bank.documents.collection import Documents
from exprag.errors import BankError, ConfigError, RetrievalError
from exprag.integrations.langchain import BankVectorStore, EmbeddingsEncoder, ExperienceRetriever
from exprag.integrations.tool import search_experience_tool
from exprag.trajectory import Task, Trajectory


class TestVectorStoreSuite(VectorStoreIntegrationTests):
    @pytest.fixture
    def vectorstore(self, tmp_path: Path) -> VectorStore:
        return BankVectorStore(Bank.create(tmp_path / "bank", EmbeddingsEncoder(self.get_embeddings())))


class TestRetrieverSuite(RetrieversIntegrationTests):
    @pytest.fixture(autouse=True)
    def _bank(self, bank: Bank) -> None:
        self.bank = bank

    @property
    def retriever_constructor(self) -> type[BaseRetriever]:
        return ExperienceRetriever

    @property
    def retriever_constructor_params(self) -> dict:
        return {"bank": self.bank}

    @property
    def retriever_query_example(self) -> str:
        return "put a mug on the table"


class TestToolSuite(ToolsIntegrationTests):
    @pytest.fixture(autouse=True)
    def _bank(self, bank: Bank) -> None:
        self.bank = bank

    @property
    def tool_constructor(self) -> BaseTool:
        return search_experience_tool(self.bank)

    @property
    def tool_invoke_params_example(self) -> dict:
        return {"query": "clean the mug"}


async def test_the_number_can_be_given_with_the_question(bank):
    retriever = ExperienceRetriever(bank=bank)
    assert [len(await retriever.ainvoke("clean the mug", k=k)) for k in (1, 2)] == [1, 2]


@pytest.fixture
def store(tmp_path: Path) -> BankVectorStore:
    embeddings = VectorStoreIntegrationTests.get_embeddings()
    texts, about = ["one", "two", "three"], [{"n": 1}, {"n": 2}, {"n": 3, "tags": ["odd"]}]
    return BankVectorStore.from_texts(texts, embeddings, about, uri=tmp_path / "new", ids=["1", "2", "3"])


def test_from_texts_makes_a_bank_that_opens_again(store, tmp_path):
    embeddings = VectorStoreIntegrationTests.get_embeddings()
    bank = Bank.open(tmp_path / "new", encoder=EmbeddingsEncoder(embeddings))
    again = BankVectorStore(bank)
    assert again.embeddings == embeddings
    assert again.similarity_search("two", k=1)[0].id == "2"
    assert len(Documents(bank)) == 3
    assert len(bank) == 0  # trajectories are another table


def test_searches_filter_score_and_differ(store):
    assert [d.id for d in store.similarity_search("two", k=3, filter={"tags": "odd"})] == ["3"]
    (document, score), *_ = store.similarity_search_with_score("one", k=3)
    assert document.id == "1"
    assert score == pytest.approx(1, abs=1e-4)
    assert all(0 <= relevance <= 1 for _, relevance in store.similarity_search_with_relevance_scores("one", k=3))
    vector = store.embeddings.embed_query("three")
    assert store.similarity_search_by_vector(vector, k=1)[0].id == "3"
    assert {d.id for d in store.max_marginal_relevance_search("one", k=2, fetch_k=3)} > {"1"}
    retriever = store.as_retriever(search_type="mmr", search_kwargs={"k": 2})
    assert len(retriever.invoke("one")) == 2


def test_delete_all_and_bad_numbers(store):
    with pytest.raises(ConfigError, match="must agree"):
        store.add_texts(["a", "b"], ids=["1"])
    with pytest.raises(ConfigError, match="must agree"):
        store.add_documents([Document("a")], ids=["1", "2"])
    assert store.delete()
    assert store.similarity_search("one") == []


def test_a_lexical_bank_is_a_vector_store_by_words(bank):
    store = BankVectorStore(bank)
    store.add_texts(["GET /users lists users", "a recipe"])
    assert [d.page_content for d in store.similarity_search("users")] == ["GET /users lists users"]
    assert store.embeddings is None
    with pytest.raises(BankError, match="no vectors"):
        store.max_marginal_relevance_search("users")


def test_the_retriever_tells_what_it_found_and_why(bank, trajectory):
    bank.add([trajectory(9, "clean the mug", environment="garden")])
    found = ExperienceRetriever(bank=bank, k=2, where=Filter(environment="house")).invoke("clean the mug")
    assert [document.metadata["task"] for document in found] == ["task-2", "task-0"]
    about = found[0].metadata
    assert (about["success"], about["outcome"], about["environment"]) == (False, "failure", "house")
    assert "rank 1" in about["reason"]
    assert about["score"] > found[1].metadata["score"]
    assert '"role": "assistant", "content": "take mug"' in found[0].page_content
    everywhere = ExperienceRetriever(bank=bank.uri, k=5).invoke("clean the mug")
    assert {document.metadata["environment"] for document in everywhere} == {"house", "garden"}
    assert ExperienceRetriever(bank=bank, k=0).invoke("mug") == []


def test_quarantined_rows_come_only_when_asked_for(bank, trajectory):
    bank.add([trajectory(7, "water the fern")], trust=False)
    assert ExperienceRetriever(bank=bank).invoke("fern") == []
    assert len(ExperienceRetriever(bank=bank, where=Filter(trust="quarantined")).invoke("fern")) == 1


def test_a_wrong_option_is_told_when_the_retriever_is_made(bank):
    with pytest.raises(RetrievalError, match="no keys"):
        ExperienceRetriever(bank=bank, strategy="trajectory")


def test_embeddings_that_fail_are_an_error_of_the_bank(tmp_path: Path) -> None:
    embeddings = DeterministicFakeEmbedding(size=8)
    bank = Bank.create(tmp_path / "bank", EmbeddingsEncoder(embeddings))
    bank.add([Trajectory(task=Task(environment="e", id="1", instruction="look"), success=True)])

    def refuse(text: str) -> list[float]:
        raise KeyError("quota")

    object.__setattr__(embeddings, "embed_query", refuse)
    with pytest.raises(BankError, match=r"embeddings 'langchain:.*' failed: KeyError: 'quota'"):
        bank.search("look")
