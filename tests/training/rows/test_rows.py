"""What becomes of trajectories: shares, failures, masks, limits, and bad input. That rows hold the graph's prompts is told in
test_rows_served."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny import make_tokenizer

from exprag.bank import Bank
from exprag.environments.expert import play_expert
from exprag.errors import ConfigError, PluginError
from exprag.prompt.block import read_block
from exprag.retrieval import Retriever
from exprag.training import DataConfig, Row, build_rows
from exprag.training.rows.build import FAILED
from exprag.training.rows.mixing import choose
from exprag.training.rows.tokens import IGNORED
from exprag.trajectory import Step, Trajectory
from toy import Toy


def rows_of(trajectories: list[Trajectory], bank: Bank | None, tokenizer: Any = None, **choices: Any) -> tuple[list[Row], Any]:
    rows = build_rows(trajectories, bank, DataConfig.make(**choices), Toy(), tokenizer)
    return list(rows), rows.report


def lost(episode: Trajectory, **changes: Any) -> Trajectory:
    """A run of the same task that errs, repeats itself, and does not win."""
    first = episode.steps[0]
    wrong = [
        Step(observation=first.observation, action="dance", valid=False),
        Step(observation=first.observation, action="look", valid=True),
        Step(observation="At the door you see nothing.", action="look", valid=True),
        Step(observation="At the door you see nothing.", action="look", valid=True),
    ]
    fields = {"id": f"lost-{episode.task.id}", "steps": tuple(wrong), "success": False, "score": 0.0, "ended": "truncated"}
    return episode.model_copy(update=fields | changes)


def memories(row: Row) -> list[str]:
    return [entry.body for message in row.messages for entry in read_block(message["content"])]


def test_a_row_is_a_whole_episode_and_never_recalls_it(toy_bank: Bank, toy_episodes: list[Trajectory]) -> None:
    rows, report = rows_of(toy_episodes, toy_bank)
    assert [row.trajectory for row in rows] == [episode.id for episode in toy_episodes]
    for row, episode in zip(rows, toy_episodes, strict=True):
        turns = [m["content"] for m, trained in zip(row.messages, row.train, strict=True) if trained]
        assert turns == episode.actions
        assert [m["role"] for m in row.messages] == ["system", *["user", "assistant"] * len(episode.steps)]
        assert len(row.recalled) == len(memories(row)) == 2
        assert episode.id not in {recalled["id"] for recalled in row.recalled}
        assert row.bank_version == toy_bank.version
    assert (report.episodes, report.rows, report.turns) == (16, 16, sum(len(e.steps) for e in toy_episodes))
    assert report.memory == Counter(retrieved=16)


def test_renamed_episodes_are_renamed_with_their_memory(toy_bank: Bank, toy_episodes: list[Trajectory]) -> None:
    plain, _ = rows_of(toy_episodes, toy_bank)
    rows, report = rows_of(toy_episodes, toy_bank, rename_share=0.5, formatter="textual")
    renamed = [row for row in rows if row.messages[2]["content"].split()[0] not in ("go", "take", "drop", "look")]
    assert 0 < len(renamed) == report.renamed < len(rows)
    for row, was in zip(rows, plain, strict=True):
        assert [item["id"] for item in row.recalled] == [item["id"] for item in was.recalled]  # searched with the old words
        turns = [message["content"] for message in row.messages if message["role"] == "assistant"]
        verbs = {turn.split()[0] for turn in turns}
        assert verbs <= {line[2:].split()[0] for line in row.messages[0]["content"].splitlines() if line.startswith("- ")}
        if row in renamed:
            assert not verbs & {"go", "take", "drop"}
            remembered = [a.split()[1] for text in memories(row) for a in text.splitlines() if a.startswith("Action:")]
            assert verbs & set(remembered)
            assert not {"go", "take", "drop"} & set(remembered)
    again, _ = rows_of(toy_episodes[::-1], toy_bank, rename_share=0.5, formatter="textual")
    assert sorted(again, key=lambda row: row.id) == sorted(rows, key=lambda row: row.id)


def test_words_are_others_only_where_memory_tells_them(toy_bank: Bank, toy_episodes: list[Trajectory]) -> None:
    plain, _ = rows_of(toy_episodes, toy_bank, empty_share=0.5)
    rows, report = rows_of(toy_episodes, toy_bank, empty_share=0.5, rename_share=1.0, exchange_share=0.5)
    assert report.renamed == report.memory["retrieved"] > 0
    assert report.memory["empty"] > 0
    for row, was in zip(rows, plain, strict=True):
        assert (row.messages == was.messages) == (row.memory == "empty")
    rows, report = rows_of(toy_episodes, toy_bank, k_choices=(0, 1), rename_share=1.0)
    assert report.renamed == sum(row.k > 0 for row in rows) < len(rows)


def test_verbs_take_one_anothers_places_with_their_memory(toy_bank: Bank, toy_episodes: list[Trajectory]) -> None:
    plain, _ = rows_of(toy_episodes, toy_bank, formatter="textual")
    rows, report = rows_of(toy_episodes, toy_bank, exchange_share=1.0, exchange_verbs_share=1.0, formatter="textual")
    assert report.renamed == len(rows)
    exchanged = 0
    for row, was in zip(rows, plain, strict=True):
        forms = [text.partition("<experience")[0] for text in (row.messages[0]["content"], was.messages[0]["content"])]
        assert forms[0] == forms[1]
        turns = [message["content"] for message in row.messages if message["role"] == "assistant"]
        remembered = [a.removeprefix("Action: ") for text in memories(row) for a in text.splitlines() if a.startswith("Action:")]
        first = {next(a.split()[0] for a in actions if a.split()[0] in ("take", "drop")) for actions in (turns, remembered)}
        assert len(first) == 1  # what the memory takes with, the episode takes with
        exchanged += first == {"drop"}
    assert 0 < exchanged < len(rows)
    _, names = rows_of(toy_episodes, toy_bank, exchange_share=0.5)
    _, both = rows_of(toy_episodes, toy_bank, exchange_share=0.5, exchange_verbs_share=1.0)
    assert 0 < both.renamed == names.renamed < len(rows)  # no row has other verbs and names as they are


def test_shares_and_k_are_drawn_by_seed_and_episode(toy_bank: Bank, toy_episodes: list[Trajectory]) -> None:
    choices = {"k_choices": (0, 1, 3), "empty_share": 0.25, "mismatched_share": 0.25, "distractor_share": 0.25}
    rows, report = rows_of(toy_episodes, toy_bank, **choices)
    again, _ = rows_of(toy_episodes[::-1], toy_bank, **choices)
    assert sorted(again, key=lambda row: row.id) == sorted(rows, key=lambda row: row.id)
    assert {row.k for row in rows} == {0, 1, 3}
    assert set(report.memory) == {"none", "empty", "mismatched", "distractor", "retrieved"}
    types = {episode.id: episode.task.type for episode in toy_episodes}
    for row in rows:
        own, recalled = types[row.trajectory], [types[item["id"]] for item in row.recalled]
        assert len(memories(row)) == len(recalled)
        if row.memory in ("none", "empty"):
            assert not recalled
        elif row.memory == "mismatched":
            assert len(recalled) == row.k
            assert own not in recalled
        elif row.memory == "distractor":
            wrong = [item for item in row.recalled if "distractor" in item["reason"]]
            assert len(recalled) == max(row.k, 2)
            assert len(wrong) == len(recalled) - max(1, row.k // 2)
            assert own not in [types[item["id"]] for item in wrong]
        else:
            assert len(recalled) == row.k
    other, _ = rows_of(toy_episodes, toy_bank, **choices, seed=1)
    assert [row.memory for row in other] != [row.memory for row in rows]


@pytest.mark.parametrize("share", ["mismatched_share", "distractor_share"])
def test_types_that_are_held_out_are_in_no_memory(toy_episodes: list[Trajectory], tmp_path: Any, share: str) -> None:
    """Of an index of some types alone, a wrong memory too is of these."""
    own, other = sorted({episode.task.type for episode in toy_episodes})
    taught = [episode for episode in toy_episodes if episode.task.type == own]
    tasks = [episode.task.model_copy(update={"id": f"hard {n}", "type": "hard"}) for n, episode in enumerate(taught)]
    hard = [episode.model_copy(update={"id": task.id, "task": task}) for episode, task in zip(taught, tasks, strict=True)]
    bank = Bank.create(tmp_path / "bank")
    bank.add([*toy_episodes, *hard])
    types = {episode.id: episode.task.type for episode in [*toy_episodes, *hard]}

    def recalled(**fields: Any) -> set[str]:
        rows, _ = rows_of(taught, bank, k=9, **{share: 1.0}, **fields)
        return {types[item["id"]] for row in rows for item in row.recalled}

    right = {own} if share == "distractor_share" else set()
    assert recalled() == {other, "hard", *right}
    assert recalled(index_state="matched", index_types=(own, other)) == {other, *right}


@given(st.floats(0, 1), st.floats(0, 1), st.integers(0, 5))
@settings(max_examples=8, deadline=None)
def test_shares_are_what_they_say(first: float, second: float, seed: int) -> None:
    shares = {"empty_share": first / 2, "mismatched_share": second / 2}
    config = DataConfig.make(**shares, seed=seed)
    drawn = Counter(choose(config, f"episode {n}").memory for n in range(1000))
    for state, share in (("empty", first / 2), ("mismatched", second / 2)):
        assert abs(drawn[state] / 1000 - share) < 0.08
    more = DataConfig.make(**shares, seed=seed, k_choices=(2, 3))  # another choice moves no draw of this one
    assert all(choose(more, f"episode {n}").memory == choose(config, f"episode {n}").memory for n in range(50))


def test_distractors_stand_in_mixed_order(toy_bank: Bank, toy_episodes: list[Trajectory]) -> None:
    rows, _ = rows_of(toy_episodes, toy_bank, distractor_share=1.0)
    assert {["distractor" in item["reason"] for item in row.recalled].index(True) for row in rows} == {0, 1}


def test_failures(toy_bank: Bank, toy_episodes: list[Trajectory], tmp_path: Any) -> None:
    bank = Bank.create(tmp_path / "bank")
    failures = [lost(episode) for episode in toy_episodes[4:]]
    bank.add([*toy_episodes[:4], *failures])
    both = [toy_episodes[0], lost(toy_episodes[1])]

    memory, report = rows_of(both, bank, k=4)
    assert [row.success for row in memory] == [True]
    assert report.left_out == Counter({"missed the goal": 1})
    assert any('outcome="unsuccessful"' in row.messages[0]["content"] for row in memory)

    dropped, _ = rows_of(both, bank, k=4, failures="drop")
    assert [row.success for row in dropped] == [True]
    assert dropped[0].recalled
    assert all('outcome="unsuccessful"' not in row.messages[0]["content"] for row in dropped)

    masked, _ = rows_of(both, bank, failures="mask")
    assert [row.success for row in masked] == [True, False]
    learnt = [m["content"] for m, trained in zip(masked[1].messages, masked[1].train, strict=True) if trained]
    assert learnt == ["look", "look"]  # not the dance, not the look that was done before
    assert masked[1].train == [False, False, False, False, True, False, True, False, False]

    labelled, _ = rows_of(both, bank, failures="label")
    assert [row.messages[0]["content"].endswith(FAILED) for row in labelled] == [False, True]
    assert sum(labelled[1].train) == 4


def test_masks_apply_to_successes_when_asked_for(toy_bank: Bank, toy_episodes: list[Trajectory], tokenizer: Any) -> None:
    odd = lost(toy_episodes[0], success=True)
    for choices, number in (({}, 4), ({"mask_invalid": True}, 3), ({"mask_repeats": True}, 3), ({"failures": "mask"}, 4)):
        (row,), report = rows_of([odd], toy_bank, tokenizer, **choices)
        assert sum(row.train) == report.turns == number
        assert (row.first, row.last) == (0, 3)
        assert row.labels is not None
        learnt = tokenizer.decode([label for label in row.labels if label != IGNORED])
        assert learnt.count("</s>") == number
        assert ("dance" in learnt) == ("mask_invalid" not in choices)


def test_a_row_without_anything_to_learn_is_dropped_and_counted(toy_bank: Bank, toy_episodes: list[Trajectory]) -> None:
    silly = lost(toy_episodes[0], steps=(Step(observation="a", action="dance", valid=False),), success=True)
    rows, report = rows_of([silly, toy_episodes[1]], toy_bank, mask_invalid=True)
    assert [row.trajectory for row in rows] == [toy_episodes[1].id]
    assert report.dropped == Counter({"nothing to learn in it": 1})


@pytest.mark.parametrize("placement", ["system", "tail"])
def test_a_long_row_loses_memory_and_never_labels(
    placement: str, toy_bank: Bank, toy_episodes: list[Trajectory], tokenizer: Any
) -> None:
    dynamic = {"k": 3, "refresh": "every_2_steps", "strategy": "trajectory", "placement": placement}
    some = toy_episodes[:4]
    whole, report = rows_of(some, toy_bank, tokenizer, **dynamic)
    _, none = rows_of(some, None, tokenizer, k=0)
    assert none.longest < report.longest
    for limit in range(none.longest, report.longest, (report.longest - none.longest) // 3):
        rows, shorter = rows_of(some, toy_bank, tokenizer, **dynamic, max_tokens=limit)
        assert all(len(row.input_ids or ()) <= limit for row in rows)
        assert not shorter.dropped
        assert shorter.shortened[f"to {limit} tokens"] > 0
        assert shorter.learnt == report.learnt == none.learnt
        assert shorter.rows == len(whole) or placement == "tail"
    rows, shorter = rows_of(some, toy_bank, tokenizer, max_tokens=none.longest - 1)
    assert 0 < len(rows) < 4
    assert shorter.dropped == Counter({f"longer than {none.longest - 1} tokens without any memory": 4 - len(rows)})


def test_the_arms_own_budget_is_told(toy_bank: Bank, toy_episodes: list[Trajectory]) -> None:
    rows, report = rows_of(toy_episodes, toy_bank, memory_budget=130)
    assert report.shortened == Counter({"by the memory budget": 16})
    assert all(len(row.recalled) < 2 for row in rows)
    assert report.nothing_recalled == 0
    _, alone = rows_of(toy_episodes[:1], Bank.create(f"{toy_bank.uri}-empty"))
    assert alone.nothing_recalled == 1


def test_rows_without_memory_need_no_bank(toy_episodes: list[Trajectory]) -> None:
    rows, report = rows_of(toy_episodes, None, k=0)
    assert report.memory == Counter(none=16)
    assert all(row.bank_version is None and not row.recalled for row in rows)
    with pytest.raises(ConfigError, match="no bank to recall from"):
        rows_of(toy_episodes, None)


def test_which_episodes_become_rows(toy_bank: Bank, toy_episodes: list[Trajectory]) -> None:
    rows, report = rows_of([*toy_episodes, toy_episodes[0]], toy_bank, types=("carry",), splits=("train",))
    assert len(rows) == 4
    assert report.left_out == Counter({"of another task type": 8, "of another split": 4, "given twice": 1})
    rows, _ = rows_of(toy_episodes, toy_bank, limit=3)
    assert len(rows) == 3


def test_a_retriever_may_be_given_and_is_what_the_config_then_says(toy_bank: Bank, toy_episodes: list[Trajectory]) -> None:
    retriever = Retriever(toy_bank, "trajectory", "mmr", 1, refresh="every_2_steps")
    rows = build_rows(toy_episodes, retriever, DataConfig.make(), Toy())
    assert all(len(row.recalled) == 1 for row in rows)
    agent = rows.config.agent
    assert (agent.strategy, agent.selector, agent.k, agent.refresh) == ("trajectory", "mmr", 1, "every_2_steps")


@pytest.mark.parametrize(
    ("episodes", "choices", "message"),
    [
        ("none", {}, "No rows: there are no trajectories"),
        ("lost", {}, "No rows: 2 episodes missed the goal"),
        ("broken", {}, "1 episodes broke off with an error, 1 episodes without a step, 1 episodes of unknown outcome"),
        ("won", {"types": ("bake",)}, "No rows: 16 episodes of another task type"),
        ("old", {}, r"is of toy@0\.1\+abc; the environment here is toy@0"),
        ("nameless", {}, "an unnamed version"),
        ("won", {"max_tokens": 100}, "a tokenizer is needed"),
    ],
)
def test_bad_input_is_refused(
    episodes: str, choices: dict[str, Any], message: str, toy_bank: Bank, toy_episodes: list[Trajectory]
) -> None:
    one = toy_episodes[0]
    sets = {
        "none": [],
        "won": toy_episodes,
        "lost": [lost(episode) for episode in toy_episodes[:2]],
        "broken": [lost(one, id="1", ended="error"), lost(one, id="2", steps=()), lost(one, id="3", success=None)],
        "old": [one.model_copy(update={"fingerprint": "toy@0.1+abc"})],
        "nameless": [one.model_copy(update={"fingerprint": ""})],
    }
    with pytest.raises(ConfigError, match=message):
        rows_of(sets[episodes], toy_bank, **choices)


def test_another_version_may_be_allowed_and_is_counted(toy_bank: Bank, toy_episodes: list[Trajectory]) -> None:
    old = [episode.model_copy(update={"fingerprint": "toy@0.1+abc"}) for episode in toy_episodes[:3]]
    _, report = rows_of([*old, *toy_episodes[3:]], toy_bank, other_versions=True)
    assert (report.rows, report.other_versions) == (16, 3)


def test_an_environment_that_is_not_installed_is_named(toy_bank: Bank, toy_episodes: list[Trajectory]) -> None:
    with pytest.raises(PluginError, match="no environment 'toy'"):
        list(build_rows(toy_episodes, toy_bank, DataConfig.make()))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"empty_share": 0.7, "mismatched_share": 0.7}, "shares of one whole"),
        ({"k_choices": (1, -1)}, "0 or more"),
        ({"exchange_verbs_share": 0.5}, "set exchange_share too"),
        ({"rename_names": True}, "set rename_share too"),
        ({"failures": "keep"}, "failures"),
        ({"max_token": 5}, "max_token"),
    ],
)
def test_a_config_says_what_is_wrong_with_it(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        DataConfig.make(**values)


def test_a_config_reads_toml(tmp_path: Any) -> None:
    path = tmp_path / "data.toml"
    path.write_text('k = 4\nfailures = "label"\nk_choices = [1, 2]\nmemory_budget = 900\n')
    config = DataConfig.read(path, k=3)
    assert (config.agent.k, config.failures, config.k_choices, config.agent.memory_budget) == (3, "label", (1, 2), 900)


def test_a_tokenizers_own_limit_holds(toy_bank: Bank, toy_episodes: list[Trajectory]) -> None:
    small = make_tokenizer(model_max_length=1500)
    rows, report = rows_of(toy_episodes, toy_bank, small)
    assert report.longest <= 1500
    assert report.shortened["to 1500 tokens"] == len(rows) == 16


def test_odd_text_becomes_a_row_like_any_other(toy_bank: Bank, tokenizer: Any) -> None:
    toy = Toy()
    episode = play_expert(toy, toy.task("train/1"), seed=1)
    odd = "\ud800 </s> <|user|> \x00 \u202e ünïcode \n\n"
    steps = tuple(step.model_copy(update={"observation": odd + step.observation}) for step in episode.steps)
    (row,), _ = rows_of([episode.model_copy(update={"steps": steps})], toy_bank, tokenizer)
    assert sum(row.train) == len(steps)
