"""The prompts that the page shows are those that the model got, byte for byte."""

from __future__ import annotations

import dataclasses
import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from langchain_core.messages import BaseMessage

from exprag.bank import Bank
from exprag.bank.items import Items
from exprag.config import AgentConfig
from exprag.environments.expert import play_expert
from exprag.errors import ConfigError
from exprag.evaluation import RunResult
from exprag.evaluation import viewer as viewer_package
from exprag.evaluation.prompt_pool import Pool, encode
from exprag.evaluation.prompts import PromptWriter, prompt_writer, writers
from exprag.graph import Context, build_agent
from exprag.items import Item, ItemSource
from exprag.prompt.hint_block import HINTS
from exprag.trajectory import Trajectory
from scripted import Scripted
from toy import Toy

ROLES = {"system": "system", "human": "user", "ai": "assistant"}
TURNS = ["look", "go to desk", "Thought: a <|im_end|> in a turn\nAction: go to shelf", "look", "go to box", "take mug", "look"]
CHOICES: list[dict[str, Any]] = [
    {"k": 0},
    {},
    {"strategy": "trajectory", "refresh": "every_step"},
    {"strategy": "trajectory", "refresh": "every_step", "placement": "tail"},
    {"strategy": "trajectory", "refresh": "every_2_steps", "placement": "task", "style": "react", "formatter": "textual"},
    {"strategy": "task", "memory_budget": 160, "order": "best_last", "k": 3, "outcome_labels": False},
    {"strategy": "trajectory", "refresh": "every_step", "placement": "tail", "memory_budget": 420, "k": 3},
    {"history_budget": 60, "style": "stateact", "formatter": "compact_json"},
    {"history_budget": 80, "strategy": "trajectory", "refresh": "every_step", "placement": "tail"},
    {"strategy": "step", "strategy_options": {"before": 1, "after": 1}, "refresh": "every_step"},
    {"examples": "bank:2", "selector": "successes"},
    {"hint_k": 2, "strategy": "trajectory", "refresh": "every_step"},
    {"k": 0, "hint_k": 1, "history_budget": 60},
    {"k": 1, "hint_k": 3, "hint_budget": 60, "placement": "tail", "strategy": "trajectory", "refresh": "every_step"},
    {"instruction": "Play as a teacher would.", "refresh": "every_step", "strategy": "trajectory"},
]


@pytest.fixture(scope="module")
def bank(tmp_path_factory: pytest.TempPathFactory) -> Bank:
    toy = Toy()
    bank = Bank.create(str(tmp_path_factory.mktemp("bank") / "toy"), strategies=("task", "trajectory", "step"))
    bank.add([play_expert(toy, task, seed=1) for split in toy.splits for task in toy.tasks(split)])
    source = ItemSource(episode="an earlier one", task="toy:train/4")
    rules = ["Take the {thing} first.", "Look round where you are.", "The mug is often <|im_start|> at the shelf."]
    fields = {"environment": "toy", "type": "fetch", "sources": (source,)}
    Items(bank).add([Item.from_dict({"text": rule, **fields}) for rule in rules])
    return bank


def plain(messages: list[BaseMessage]) -> list[list[str]]:
    return [[ROLES[message.type], str(message.text)] for message in messages]


def play(bank: Bank, **choices: Any) -> tuple[list[list[list[str]]], Trajectory, PromptWriter]:
    """The prompts that a model got, the episode's record, and the writer made from what a run directory holds."""
    model = Scripted(turns=TURNS)
    context = Context(instruction=choices.pop("instruction", ""))
    config = AgentConfig.make(**choices)
    agent = build_agent(Toy, model, bank=bank, config=config, max_steps=len(TURNS))
    episode = Trajectory.from_dict(agent.invoke({"task": "test/0", "seed": 3}, context=context)["trajectory"])
    record = {"environment": "toy", "bank": bank.uri, "bank_version": bank.version, "agent": config.model_dump(mode="json")}
    run = RunResult("m", record, {}, (episode,))
    return list(map(plain, model.prompts)), episode, prompt_writer(run, {t.id: t for t in bank.trajectories()}, environment=Toy())


@pytest.fixture(scope="module", params=CHOICES, ids=str)
def played(request: pytest.FixtureRequest, bank: Bank) -> tuple[list[list[list[str]]], Trajectory, PromptWriter]:
    return play(bank, **dict(request.param))


def test_prompts_are_written_again_as_they_were_sent(
    played: tuple[list[list[list[str]]], Trajectory, PromptWriter],
) -> None:
    prompts, episode, writer = played
    memories = writer.memories(episode)
    again = [plain(writer.messages(episode, number, memory)) for number, memory in enumerate(memories)]
    assert again == prompts
    assert len(prompts) == len(TURNS)


def test_hints_and_instructions_stand_in_them(bank: Bank) -> None:
    prompts, episode, writer = play(bank, hint_k=2, instruction="Play as a teacher would.")
    assert HINTS in prompts[0][0][1]
    assert prompts[0][0][1].endswith("\n\nPlay as a teacher would.")
    lost = dataclasses.replace(writer, hints={})
    assert lost.memories(episode) == [None] * len(episode.steps), "a hint whose text is missing makes them unknown"


def test_the_page_has_every_prompt_and_no_text_twice(
    played: tuple[list[list[list[str]]], Trajectory, PromptWriter], tmp_path: Path
) -> None:
    prompts, episode, writer = played
    pool = Pool()
    encoded = encode(writer, episode, pool)
    assert len(set(pool.texts)) == len(pool.texts)
    record = {"prompt": encoded, "steps": episode.to_dict()["steps"]}
    assert read_in_node(record, pool.texts, tmp_path) == [*prompts, None]


def read_in_node(record: dict[str, Any], texts: list[str], folder: Path) -> Any:
    """Every prompt of an episode as the page's own module reads it; the last place is a step that is not there."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("no node on the PATH to run the page's modules in")
    module = Path(viewer_package.__path__[0]) / "prompt.js"
    shutil.copy(module, folder / "prompt.mjs")
    (folder / "data.json").write_text(json.dumps([record, texts]))
    script = (
        "import { readFileSync } from 'node:fs'; import { promptAt } from './prompt.mjs';"
        "const [episode, texts] = JSON.parse(readFileSync('data.json', 'utf8'));"
        "console.log(JSON.stringify([...episode.steps, 0].map((_, step) => promptAt(episode, step, texts))));"
    )
    (folder / "read.mjs").write_text(script)
    done = subprocess.run([node, "read.mjs"], cwd=folder, capture_output=True, timeout=60, check=True)
    return json.loads(done.stdout)


def test_memory_whose_text_is_missing_makes_the_prompt_unknown(bank: Bank, tmp_path: Path) -> None:
    prompts, episode, _ = play(bank, strategy="trajectory", refresh="every_step")
    gone = episode.steps[0].recalled[0].id
    lacking = prompt_writer(
        RunResult("m", {"environment": "toy", "bank": bank.uri, "agent": {}}, {}, (episode,)),
        {t.id: t for t in bank.trajectories() if t.id != gone},
        environment=Toy(),
    )
    states = [memory is None for memory in lacking.memories(episode)]
    assert states == [any(item.id == gone for item in step.recalled) for step in episode.steps]
    pool = Pool()
    read = read_in_node({"prompt": encode(lacking, episode, pool), "steps": episode.to_dict()["steps"]}, pool.texts, tmp_path)
    assert [prompt is None for prompt in read[:-1]] == states
    assert read[:-1] == [None if state else prompt for state, prompt in zip(states, prompts, strict=True)]


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"policy": "expert"}, "expert"),
        ({"graph": "x.py:graph"}, "graph of the user's own"),
        ({"agent": {"style": "os:system"}}, "names code"),
        ({"environment": "os:system"}, "names code"),
        ({"environment_options": {"made_by": "os.path:join"}}, "names code"),
        ({"environment": "nothing-like-it"}, "nothing-like-it"),
        ({"agent": {"k": "many"}}, "AgentConfig"),
    ],
)
def test_prompts_that_cannot_be_written_again_say_why(config: dict[str, Any], words: str) -> None:
    (writer,), (reason,) = writers([RunResult("m", {"environment": "drift", **config})], {})
    assert writer is None
    assert words in reason


def test_what_is_doubtful_is_said(bank: Bank) -> None:
    run = RunResult("m", {"environment": "toy", "bank": bank.uri, "agent": {"memory_budget": 10, "document_k": 2}})
    doubts = prompt_writer(run, {}, environment=Toy()).doubts
    assert len(doubts) == 2
    assert "Documents" in doubts[0]
    assert "--tokenizer" in doubts[1]
    with pytest.raises(ConfigError, match="expert"):
        prompt_writer(RunResult("m", {"policy": "expert"}), {})
