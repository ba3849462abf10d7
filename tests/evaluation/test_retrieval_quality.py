"""The quality of retrieval without a model: what the recalled have in common with how a task was solved."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from command_line import exprag
from hypothesis import given
from hypothesis import strategies as st

from exprag.bank import Bank
from exprag.errors import BankError, ConfigError
from exprag.evaluation.likeness import agreement, common_words, overlap, plan
from exprag.evaluation.retrieval import RetrievalRow, evaluate_retrieval
from exprag.files import write_jsonl
from exprag.trajectory import Step, Task, Trajectory

PLANS = {"cool": ("take {0}", "cool {0}", "move {0} to shelf"), "heat": ("take {0}", "heat {0}", "move {0} to shelf")}


def solved(number: int, type_: str, thing: str, success: bool = True) -> Trajectory:
    actions = ["go to table", *(action.format(thing) for action in PLANS[type_])]
    task = Task(
        environment="kitchen", id=f"{type_}/{number}", type=type_, instruction=f"{type_} the {thing}", metadata={"object": thing}
    )
    steps = tuple(Step(observation=f"step {n} with {thing}", action=action) for n, action in enumerate(actions))
    return Trajectory(task=task, steps=steps, success=success, source="expert")


@pytest.fixture
def bank(tmp_path: Path) -> Bank:
    bank = Bank.create(tmp_path / "bank", strategies=("task", "trajectory"))
    bank.add(solved(n, type_, thing) for type_ in PLANS for n, thing in enumerate(("apple", "apple", "mug", "pan")))
    return bank


def rows(bank: Bank, **options: object) -> dict[tuple[str, int, str, str], RetrievalRow]:
    quality = evaluate_retrieval(bank, **options)  # type: ignore[arg-type]
    return {(row.strategy, row.k, row.when, row.measure): row for row in quality.rows}


def test_a_plan_is_what_is_done_to_things() -> None:
    episode = solved(0, "cool", "apple")
    assert plan(episode) == ("take", "cool", "move")
    twice = Step(observation="", action="cool again")
    assert plan(episode.model_copy(update={"steps": (*episode.steps[:3], twice, Step(observation="", action="open box"))})) == (
        "take",
        "cool",
    )


def test_overlap_is_the_share_of_the_longest_common_subsequence() -> None:
    assert overlap(["take", "cool", "move"], ["take", "heat", "move"]) == pytest.approx(2 / 3)
    assert (overlap([], []), overlap(["a"], [])) == (1.0, 0.0)


@given(st.lists(st.sampled_from("abc"), max_size=7), st.lists(st.sampled_from("abc"), max_size=7))
def test_overlap_is_symmetric_and_one_for_the_same(one: list[str], other: list[str]) -> None:
    assert overlap(one, other) == overlap(other, one)
    assert 0 <= overlap(one, other) <= 1
    assert (overlap(one, other) == 1) == (one == other)


def test_the_best_of_the_recalled_counts() -> None:
    reference, same, other = solved(0, "cool", "apple"), solved(1, "cool", "mug"), solved(2, "heat", "apple")
    assert agreement(reference, [same, other], {}) == {"type": 1, "object": 1, "plan": 1, "plan_overlap": 1}
    assert agreement(reference, [other], {}) == {"type": 0, "object": 1, "plan": 0, "plan_overlap": pytest.approx(2 / 3)}
    assert agreement(reference, [], {}) == {"type": 0, "object": 0, "plan": 0, "plan_overlap": 0}
    lost = solved(0, "cool", "apple", success=False)
    assert agreement(lost, [same], {}).keys() == {"type", "object"}, "no plan is known"


def test_without_an_object_rare_words_say_what_a_task_is_about() -> None:
    things = ("cat", "dog", "cow")
    tasks = [Task(environment="e", id=thing, type="t", instruction=f"find the {thing}") for thing in things]
    assert common_words(tasks) == {"t": {"find", "the"}}
    cat, dog = (Trajectory(task=task, success=False) for task in tasks[:2])
    assert agreement(cat, [dog], common_words(tasks)) == {"type": 1, "object": 0}
    assert agreement(cat, [cat], common_words(tasks)) == {"type": 1, "object": 1}


def test_each_episode_is_asked_for_without_itself(bank: Bank) -> None:
    result = rows(bank, ks=(1, 7))
    first = result["task", 1, "start", "object"]
    assert (first.value.n, first.value.mean) == (8, pytest.approx(1.0)), "the apple's and the mug's words are shared by others"
    assert result["task", 1, "start", "type"].chance == pytest.approx(3 / 7)
    assert result["task", 7, "start", "type"].value.mean == result["task", 7, "start", "type"].chance == 1.0
    assert ("task", 1, "later", "type") not in result, "a static strategy asks once"
    later = result["trajectory", 1, "later", "type"].value
    assert later.n == 8 * 3
    assert result["task", 1, "start", "plan_overlap"].value.mean >= 2 / 3


def test_other_episodes_can_be_asked_for(bank: Bank, tmp_path: Path) -> None:
    unknown = [solved(9, "cool", "lamp"), solved(8, "heat", "lamp")]
    assert rows(bank, references=unknown, strategies=["task"])["task", 2, "start", "type"].value.n == 2
    write_jsonl(tmp_path / "episodes.jsonl", unknown)
    outcome = exprag("bank", "eval", bank.uri, "--against", tmp_path, "--k", "1", "--json")
    assert outcome.exit_code == 0, outcome.output
    assert json.loads(outcome.stdout)["references"] == 2
    table = exprag("bank", "eval", bank.uri, "--k", "2", "--strategy", "task")
    assert "plan overlap" in table.stdout
    assert "8 episodes asked" in table.stdout


def test_at_most_a_sample_is_asked_for(bank: Bank) -> None:
    assert evaluate_retrieval(bank, ["task"], sample=3).references == 3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--k", "0"), "K is 1 or more"),
        (("--k", "two"), "whole numbers"),
        (("--against", "nothing.jsonl"), "no file nothing.jsonl"),
        (("--strategy", "state"), "holds no keys"),
    ],
)
def test_what_is_wrong_is_named(bank: Bank, arguments: tuple[str, str], message: str) -> None:
    outcome = exprag("bank", "eval", bank.uri, *arguments)
    assert outcome.exit_code == 1
    assert message in " ".join(outcome.stderr.split())


def test_an_empty_bank_or_no_episode_is_said(tmp_path: Path, bank: Bank) -> None:
    with pytest.raises(BankError, match="no trajectory to find"):
        evaluate_retrieval(Bank.create(tmp_path / "empty"))
    with pytest.raises(ConfigError, match="no episode to ask for"):
        evaluate_retrieval(bank, references=[])
