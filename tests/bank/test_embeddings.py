"""The cache of embeddings: no text is embedded twice, and a broken cache only costs time."""

from __future__ import annotations

import numpy as np
import pytest

from exprag.bank import Bank, load_encoder
from exprag.bank.embeddings import CachedEncoder, cached
from exprag.bank.encoders import PROFILES, spec_of
from exprag.errors import BankError


def test_a_bank_made_anew_embeds_nothing(tmp_path, hashing, episode):
    inner = hashing()
    encoder = CachedEncoder(inner, tmp_path / "cache")
    episodes = [episode(n, f"find lamp {n % 30} \ud800") for n in range(90)]
    first = Bank.create(tmp_path / "a", encoder)
    first.add(episodes)
    assert inner.encoded == 1 + 1 + 30  # two probes: the cache's own, and the bank's
    again = CachedEncoder(hashing(), tmp_path / "cache")  # of another process, later
    second = Bank.create(tmp_path / "b", again)
    second.add(reversed(episodes))
    second.add_strategy("task_and_observation")
    assert again.encoder.encoded == 1 + 90  # the texts of the new strategy are others
    assert second.search("lamp 7", k=90) == first.search("lamp 7", k=90)
    third = Bank.open(tmp_path / "a", encoder=CachedEncoder(hashing(), tmp_path / "cache"))
    third.add_strategy("task_and_observation")
    assert third.load_encoder().encoder.encoded == 1
    file = encoder.path.read_bytes()
    assert b"lamp" not in file


def test_encoders_do_not_share_vectors(tmp_path, hashing):
    a, b = CachedEncoder(hashing(), tmp_path), CachedEncoder(hashing(salt="x"), tmp_path)
    b.spec = a.spec  # another model under the same name is told by what it gives
    assert a.path != b.path
    assert not np.allclose(a.encode_keys(["mug"]), b.encode_keys(["mug"]))
    assert a.encode_keys([]).shape == (0, 64)
    assert np.array_equal(a.encode_keys(["mug", "lamp", "mug"]), hashing().encode_keys(["mug", "lamp", "mug"]))
    assert np.array_equal(a.encode_query("mug"), hashing().encode_query("mug"))


def test_a_damaged_cache_is_gone_round(tmp_path, hashing):
    encoder = CachedEncoder(hashing(), tmp_path)
    expected = encoder.encode_keys(["mug", "lamp"])
    encoder.path.write_bytes(b"not a database " * 100)
    with pytest.warns(RuntimeWarning, match="cache of embeddings"):
        assert np.array_equal(encoder.encode_keys(["mug", "lamp"]), expected)
    (tmp_path / "file").write_text("")
    nowhere = CachedEncoder(hashing(), tmp_path / "file")
    with pytest.warns(RuntimeWarning, match="is not used"):
        assert np.array_equal(nowhere.encode_keys(["mug", "lamp"]), expected)


def test_what_is_wrong_is_not_kept(tmp_path, hashing, episode):
    inner = hashing()
    bank = Bank.create(tmp_path / "bank", CachedEncoder(inner, tmp_path / "cache"))
    good, inner.encode_keys = inner.encode_keys, lambda texts: np.full((len(texts), 64), np.nan, np.float32)
    with pytest.raises(BankError, match="NaN"):
        bank.add([episode()])
    inner.encode_keys = good
    assert bank.add([episode()]).added == 1
    assert np.isfinite([h.score for h in bank.search("mug")]).all()


def test_the_cache_can_be_moved_and_turned_off(tmp_path, hashing, monkeypatch):
    encoder = hashing()
    monkeypatch.setenv("EXPRAG_CACHE", "off")
    assert cached(encoder) is encoder
    monkeypatch.setenv("EXPRAG_CACHE", str(tmp_path / "here"))
    cached(encoder).encode_keys(["mug"])
    assert [path.suffix for path in (tmp_path / "here" / "embeddings").iterdir()] == [".sqlite"]


def test_profiles_name_a_model_and_its_index():
    assert spec_of("qwen3") == "hf:Qwen/Qwen3-Embedding-0.6B"
    assert (PROFILES["bge-m3"], spec_of("hf:a/b")) == (("hf:BAAI/bge-m3", "ivf_hnsw_sq"), "hf:a/b")
    with pytest.raises(BankError, match=r"no encoder 'bge'.*'bge-m3'"):
        load_encoder("bge")


def test_a_profile_decides_the_index_of_its_bank(tmp_path, hashing, episode, monkeypatch):
    monkeypatch.setattr("exprag.bank.encoders.load_encoder", lambda name: hashing())  # its weights are not here
    monkeypatch.setattr("exprag.bank.index._FEW", 50)
    bank = Bank.create(tmp_path / "bank", "bge-m3")
    assert bank.add(episode(n, f"lamp {n}") for n in range(60)).notes == ("index of task: ivf_hnsw_sq, 1 partitions",)
    assert Bank.create(tmp_path / "other", "bge-m3", index="ivf_flat").description.index == "ivf_flat"
