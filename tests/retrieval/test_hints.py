"""Hints for a task: which are found, in which order, and that the graph and training rows show the same ones."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from exprag.bank import Bank
from exprag.bank.items import Items
from exprag.contracts import Moment
from exprag.environments.expert import play_expert
from exprag.errors import ConfigError
from exprag.graph import build_agent
from exprag.items import ANSWER, Item, ItemSource
from exprag.memory import MemoryState
from exprag.metering import measured
from exprag.prompt.hint_block import HINTS, hint_ids
from exprag.retrieval import Retriever
from exprag.retrieval.hints import HintFinder, is_allowed
from exprag.runs import RunConfig, RunDirectory, run
from exprag.training.rows.build import build_rows
from exprag.training.rows.config import DataConfig
from exprag.trajectory import Task, Trajectory
from scripted import Scripted
from toy import Toy

TASK = Task(environment="toy", id="train/0", type="fetch", instruction="put the mug in the desk", group="g0")


def hint(text: str, *tasks: str, **fields: Any) -> Item:
    sources = tuple(ItemSource(episode=f"episode of {task}", task=f"toy:{task}") for task in tasks)
    return Item.from_dict({"text": text, "environment": "toy", "type": "fetch", "sources": sources, **fields})


@pytest.fixture
def bank(tmp_path: Path) -> Bank:
    bank = Bank.create(tmp_path / "bank")
    Items(bank).add(
        [
            hint("Take the {thing} before you go on.", "train/2", "train/4"),
            hint("The mug is often at the shelf.", "train/2"),
            hint("Say nothing to anybody.", "train/4"),
            hint("Only for those who carry.", "train/1", type="carry"),
            hint("Wherever you are, look round.", "train/1", type=""),
            hint("Never shown: its only origin is the task.", "train/0"),
            hint("Never shown: it is flagged.", "train/2", flags=[ANSWER]),
            hint("Never shown: retired.", "train/2", retired="it harms"),
        ]
    )
    return bank


def texts(bank: Bank, k: int = 3, **options: Any) -> list[str]:
    hints, _ = HintFinder(bank, k, **options).find(Moment(TASK, (), "a room"))
    return [hint.text for hint in hints]


def test_those_of_the_type_are_found_the_widest_and_likest_first(bank: Bank) -> None:
    found = texts(bank, 9)
    assert set(found[:2]) == {"Take the {thing} before you go on.", "The mug is often at the shelf."}
    assert set(found[2:]) == {"Say nothing to anybody.", "Wherever you are, look round."}
    assert texts(bank, 1) == found[:1]


def test_a_run_at_a_version_reads_the_hints_of_that_version(tmp_path: Path, bank: Bank) -> None:
    config = RunConfig.make(environment="toy:Toy", split="test", types=["fetch"], limit=2, workers=0, max_steps=2)
    config = config.changed(bank=bank.uri, k=0, hint_k=9)

    class Stopped(Exception):
        pass

    def stop(count: int, total: int, episode: Trajectory | None) -> None:
        if episode is not None:
            raise Stopped

    with pytest.raises(Stopped):
        run(config, tmp_path / "run", progress=stop)
    for item in Items(bank):
        Items(bank).retire(item.id, "it harms")
    Items(bank).add([hint("Written while the run stood still.", "train/6")])
    run(config, tmp_path / "run")  # goes on at the version that it began with
    first, second = ({*hint_ids(episode)} for episode in RunDirectory(tmp_path / "run").episodes())
    texts = {item.text for item in Items(bank) if item.id in second}
    assert first
    assert "Say nothing to anybody." in texts
    assert "Written while the run stood still." not in texts


def test_no_hint_comes_from_the_task_alone() -> None:
    assert not is_allowed(hint("x", "train/0"), TASK)
    assert is_allowed(hint("x", "train/0", "train/2"), TASK)
    grouped = Item(text="x", sources=(ItemSource(episode="e", task="toy:other", group="g0"),))
    assert not is_allowed(grouped, TASK)
    assert not is_allowed(hint("x", "train/2"), TASK, ["episode of train/2"])
    assert is_allowed(Item(text="written by hand"), TASK)


@pytest.mark.parametrize(
    ("answer", "numbers"),
    [("[2, 1]", [2, 1]), ("Rules [3], I think", [3]), ("[]", []), ("[9, 1, 1]", [1]), ("none of them", [1, 2, 3])],
)
def test_a_model_chooses_and_may_choose_none(bank: Bank, answer: str, numbers: list[int]) -> None:
    ranked = texts(bank, 9)
    model = Scripted(turns=[answer])
    hints, usage = HintFinder(bank, 3, "model", model).find(Moment(TASK, (), "a room"))
    assert [hint.text for hint in hints] == [ranked[number - 1] for number in numbers]
    assert usage is not None
    assert (usage.prompt, usage.completion) == (10, 2)
    assert "a room" in str(model.prompts[0][1].content)


def test_the_tokens_of_a_model_that_chooses_are_counted_as_retrieval(bank: Bank) -> None:
    retriever = Retriever(bank, hint_k=2, hint_rank="model", hint_model=Scripted(turns=["[1]"]))
    with measured() as meter:
        retriever.hints(Moment(TASK, (), "a room"))
    assert meter.to_json()["tokens"] == {"retrieval": 12}


def test_what_cannot_rank_is_refused(bank: Bank) -> None:
    with pytest.raises(ConfigError, match="no hint_model"):
        HintFinder(bank, 3, "model")
    with pytest.raises(ConfigError, match="has no vectors"):
        HintFinder(bank, 3, "embedding")
    with pytest.raises(ConfigError, match="hint_rank is one of lexical, embedding, model"):
        HintFinder(bank, 3, "luck")


def test_the_graph_shows_hints_and_the_record_says_which(bank: Bank) -> None:
    model = Scripted(turns=["look"])
    state = build_agent(Toy, model, bank=bank, k=0, hint_k=2, max_steps=2).invoke({"task": "train/0"})
    system = str(model.prompts[0][0].content)
    about = system.index("Your task: ")
    assert HINTS in system[about:]
    assert model.prompts[1][0].content == system  # once, and it stays
    episode = Trajectory.from_dict(state["trajectory"])
    memory = MemoryState.of(state["memory"])
    assert memory is not None
    record = episode.provenance.extra["hints"]
    assert isinstance(record, dict)
    assert record["ids"] == [hint.id for hint in memory.hints]
    assert len(memory.hints) == 2
    assert episode.steps[0].recalled == ()


def test_the_context_turns_hints_off(bank: Bank) -> None:
    from exprag.graph import Context

    model = Scripted(turns=["look"])
    agent = build_agent(Toy, model, bank=bank, k=0, hint_k=2, max_steps=1)
    agent.invoke({"task": "train/0"}, context=Context(memory=False))
    assert HINTS not in str(model.prompts[0][0].content)


@pytest.mark.parametrize("k", [0, 1])
def test_rows_hold_the_prompt_that_the_graph_sent_byte_for_byte(bank: Bank, k: int) -> None:
    """Hints alone, and hints beside the memory of trajectories."""
    environment = Toy()
    bank.add([play_expert(environment, task, run="bank") for task in environment.tasks("train") if task.id != "train/0"])
    model = Scripted(turns=["look", "go to desk"])
    state = build_agent(Toy, model, bank=bank, k=k, hint_k=3, max_steps=2).invoke({"task": "train/0"})
    episode = Trajectory.from_dict({**state["trajectory"], "success": True})
    (row,) = build_rows([episode], bank, DataConfig.make(k=k, hint_k=3), environment)
    sent = [str(message.content) for message in model.prompts[-1]]
    assert [message["content"] for message in row.messages[:-1]] == sent
    assert ("<experience" in sent[0]) == (k > 0)
    assert sent[0].index(HINTS) > sent[0].index("Your task: ")


def test_a_budget_leaves_out_what_does_not_fit(bank: Bank) -> None:
    model = Scripted(turns=["look"])
    build_agent(Toy, model, bank=bank, k=0, hint_k=3, hint_budget=0, max_steps=1).invoke({"task": "train/0"})
    assert HINTS not in str(model.prompts[0][0].content)


def test_hints_without_a_bank_are_refused_for_rows() -> None:
    with pytest.raises(ConfigError, match="no bank to find hints in"):
        DataConfig.make(k=0, hint_k=2).check_bank(None)
