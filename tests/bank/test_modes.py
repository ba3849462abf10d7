"""Ways of asking: by vector, by words, by both; and keys by step."""

from __future__ import annotations

import numpy as np
import pytest

from exprag import Step
from exprag.bank import Bank, Filter
from exprag.bank.exclusion import Exclusion
from exprag.bank.search import Ranked, fuse
from exprag.errors import BankError, ConfigError, RetrievalError

TEXTS = ["put a clean mug on the desk", "find the red lamp", "boil water in the kettle", "put the lamp on the desk"]


@pytest.fixture
def vectors(tmp_path, hashing, episode) -> Bank:
    bank = Bank.create(tmp_path / "vectors", hashing())
    bank.add([episode(n, text) for n, text in enumerate(TEXTS * 5)])
    return bank


def test_each_mode_of_a_bank_with_vectors(vectors, hashing):
    query = "a red lamp on some desk"
    encoder = hashing()
    by_vector = vectors.search(query, k=20, mode="vector")
    assert [h.score for h in by_vector] == pytest.approx(
        sorted((float(encoder.encode_query(t) @ encoder.encode_query(query)) for t in TEXTS * 5), reverse=True), abs=1e-5
    )
    assert by_vector == vectors.search(query, k=20)
    by_words = vectors.search(query, k=20, mode="lexical")
    assert {h.trajectory.task.instruction for h in by_words} == set(TEXTS) - {"boil water in the kettle"}
    both = vectors.search(query, k=20, mode="hybrid")
    assert len(both) == 20
    assert [(h.score, h.trajectory.id) for h in both] == sorted(
        ((h.score, h.trajectory.id) for h in both), key=lambda s: (-s[0], s[1])
    )
    first = {h.trajectory.task.instruction for h in both[:5]}
    assert first <= {by_vector[0].trajectory.task.instruction, by_words[0].trajectory.task.instruction}
    exclusion = Exclusion.of(both[0].trajectory.task)
    filtered = vectors.search(query, k=20, mode="hybrid", where=Filter(types=("put",)), exclude=exclusion)
    assert both[0].trajectory.task.key not in {h.trajectory.task.key for h in filtered}


def test_what_a_bank_cannot_answer(bank, vectors, episode):
    bank.add([episode()])
    assert bank.search("mug", mode="lexical") == bank.search("mug", mode="auto")
    for mode in ("vector", "hybrid"):
        with pytest.raises(BankError, match=r"is lexical.*'lexical'"):
            bank.search("mug", mode=mode)
    with pytest.raises(ConfigError, match="mode is one of auto"):
        bank.search("mug", mode="bm25")
    vectors.table.drop_index("key_task_idx")
    with pytest.raises(BankError, match=r"no full-text index.*optimize"):
        vectors.search("mug", mode="hybrid")
    vectors.optimize()
    assert vectors.search("mug", mode="hybrid")


def test_fusion_by_rank():
    one = [Ranked("b", 9, 2, 4), Ranked("a", 9, 1), Ranked("c", 3, 3)]
    other = [Ranked("c", 0.5, 3, 7), Ranked("b", 0.5, 2, 0), Ranked("d", 0.1, 4)]
    fused = fuse([one, other])
    # a tie shares the best rank: b is first in both, c third and first, a first alone
    assert [(row.id, round(row.score, 6)) for row in fused] == [
        ("b", round(2 / 61, 6)),
        ("c", round(1 / 63 + 1 / 61, 6)),
        ("a", round(1 / 61, 6)),
        ("d", round(1 / 63, 6)),
    ]
    assert [row.step for row in fused] == [4, None, None, None]


def walk(episode, number: int, *seen: str):
    steps = [Step(observation=text, action=f"go {n}") for n, text in enumerate(seen)]
    return episode(number, f"task {number}", steps=steps)


@pytest.mark.parametrize("encoder", ["lexical", "vectors"])
def test_keys_by_step_find_the_trajectory_and_the_step(tmp_path, hashing, episode, encoder):
    bank = Bank.create(tmp_path / "steps", hashing(256) if encoder == "vectors" else "lexical", strategies=("task", "step"))
    episodes = [
        walk(episode, 1, "a fridge is open", "the lettuce lies there", "you see a knife"),
        walk(episode, 2, "you see a knife", "a cold fridge", "a knife and a lettuce lie beside a fridge"),
        walk(episode, 3),
        *(walk(episode, n, "nothing of note", "a wall") for n in range(4, 90)),
    ]
    assert bank.add(episodes).added == 89
    hits = bank.search("a knife and a lettuce lie beside a fridge", strategy="step", k=2)
    assert [(h.trajectory.task.id, h.step) for h in hits] == [
        ("task-2", 2),
        ("task-1", 1 if encoder == "lexical" else hits[1].step),
    ]
    best = bank.search(
        "the lettuce lies there", strategy="step", k=1, exclude=Exclusion(trajectory_ids=frozenset({episodes[1].id}))
    )
    assert [(h.trajectory, h.step) for h in best] == [(episodes[0], 1)]
    everything = bank.search("wall fridge knife nothing", strategy="step", k=200)
    assert len(everything) == len({h.trajectory.id for h in everything}) == 88  # each once; one has no steps
    assert bank.search("wall", k=1)[0].step is None if encoder == "vectors" else bank.search("wall") == []
    modes = ["lexical"] if encoder == "lexical" else ["vector", "lexical", "hybrid"]
    for mode in modes:
        hit = bank.search("the lettuce lies there", strategy="step", k=1, mode=mode)[0]
        assert (hit.trajectory, hit.step) == (episodes[0], 1)
    assert len(bank) == len(list(bank)) == 89


def test_the_best_step_is_exact_with_an_index_too(tmp_path, hashing, episode, monkeypatch):
    monkeypatch.setattr("exprag.bank.index._PROBES", 256)  # all partitions: which rows are found is not the question here
    encoder = hashing(64)
    bank = Bank.create(tmp_path / "steps", encoder, strategies=("step",))
    draw = np.random.default_rng(5)
    words = [f"w{n}" for n in range(40)]
    texts = [[" ".join(draw.choice(words, 6)) for _ in range(30)] for _ in range(400)]
    assert "index of step: ivf_flat" in str(bank.add(walk(episode, n, *texts) for n, texts in enumerate(texts)))
    from exprag_retrievers.strategies import ByStepStrategy

    keys = {t.id: encoder.encode_keys(ByStepStrategy().keys(t)) for t in bank}
    for query in (" ".join(draw.choice(words, 6)) for _ in range(10)):
        scores = {id: vectors @ encoder.encode_query(query) for id, vectors in keys.items()}
        best = sorted((-round(float(s.max()), 4), id) for id, s in scores.items())
        hits = bank.search(query, strategy="step", k=5)
        assert [-round(h.score, 4) for h in hits] == [s for s, _ in best[:5]]
        assert all(scores[h.trajectory.id][h.step] == pytest.approx(scores[h.trajectory.id].max(), abs=1e-6) for h in hits)


def test_keys_that_do_not_match_the_steps_are_refused(tmp_path, episode, monkeypatch):
    from exprag_retrievers.strategies import ByStepStrategy

    bank = Bank.create(tmp_path / "steps", strategies=("step",))
    answers = ((["one"], "1 keys for the 2 steps"), ("text", "a str for the 2 steps"), ([1, 2], "gave a int as key"))
    for answer, message in answers:
        monkeypatch.setattr(ByStepStrategy, "keys", lambda self, trajectory, answer=answer: answer)
        with pytest.raises(RetrievalError, match=message):
            bank.add([walk(episode, 1, "a", "b")])
    assert len(bank) == 0


def test_a_strategy_by_step_can_be_added_later(bank, episode):
    bank.add([walk(episode, n, "a wall", f"door {n}", "a wall") for n in range(30)])
    bank.add_strategy("step")
    assert [(h.trajectory.task.id, h.step) for h in bank.search("door 17", strategy="step", k=1)] == [("task-17", 1)]
    bank.add([walk(episode, 31, "a ladder")])
    assert bank.search("ladder", strategy="step")[0].step == 0
