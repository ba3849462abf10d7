"""TRL's GRPO over an environment with experience: what the model is told, how it acts, what it is paid."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import pytest

from exprag.bank import Bank
from exprag.environments.expert import play_expert
from exprag.errors import ConfigError, EnvError
from exprag.integrations.trl import ExperienceEnvironment, environment_factory, task_rows
from toy import Toy

TOY = "toy:Toy"


@pytest.fixture
def bank(tmp_path: Path) -> Bank:
    bank = Bank.create(str(tmp_path / "bank"))
    toy = Toy()
    bank.add([play_expert(toy, task) for task in toy.tasks("train")])
    return bank


def test_a_reset_tells_the_task_the_memory_and_what_is_observed(bank: Bank) -> None:
    environment = ExperienceEnvironment(TOY, bank=bank, k=2)
    text = environment.reset(prompt=[], task="train/3")
    task, memory, observation = text.index("Your task: put the key in the"), text.index("Past episodes"), text.index("You stand")
    assert task < memory < observation
    assert len(environment.memory.recalled) == 2
    assert environment.trajectory.task.id == "train/3"
    recalled = {episode.task.id for episode in bank.get([item.id for item in environment.memory.recalled])}
    assert "train/3" not in recalled  # never its own answer
    assert "Past episodes" not in ExperienceEnvironment(TOY).reset(task="train/3")


def test_acting_plays_until_the_end_and_the_reward_is_the_environments() -> None:
    for reward, value in (("score", 1.0), ("success", 1.0), ("return", 1.0)):
        environment = ExperienceEnvironment(TOY, reward=reward)  # type: ignore[arg-type]
        environment.reset(task="train/0", seed=0)
        assert environment.get_reward() == 0.0
        toy = Toy()
        for action in play_expert(toy, toy.task("train/0"), seed=0).actions:
            text = environment.act(action=action)
        assert text.endswith("The episode is over.")
        assert environment.get_reward() == value
        assert environment.act("look") == "The episode is over."
        assert environment.trajectory.success is True


def test_a_step_limit_ends_the_episode() -> None:
    environment = ExperienceEnvironment(TOY, max_steps=2)
    environment.reset(task="train/0")
    assert "over" not in environment.act("look")
    assert environment.act("look").endswith("The episode is over.")
    assert environment.trajectory.ended == "truncated"


def test_an_environment_that_breaks_is_left_out_of_the_reward() -> None:
    environment = ExperienceEnvironment(TOY, options={"die_at": 1})
    environment.reset(task="train/0")
    environment.act("look")
    with pytest.raises(EnvError, match="The toy died"):
        environment.act("look")
    assert environment.get_reward() is None
    assert environment.act("look") == "The episode is over."
    assert (environment.trajectory.ended, len(environment.trajectory.steps)) == ("error", 1)
    environment.reset(task="train/1")
    assert environment.get_reward() == 0.0


def test_a_seed_draws_the_task() -> None:
    one, other = ExperienceEnvironment(TOY, split="test"), ExperienceEnvironment(TOY, split="test")
    assert [one.reset(seed=n) for n in range(6)] == [other.reset(seed=n) for n in range(6)]
    assert one.trajectory.task.split == "test"


def test_rows_name_their_tasks_and_factories_can_be_sent() -> None:
    rows = task_rows(TOY, split="test", types=["carry"], limit=2)
    assert [row["task"] for row in rows] == ["test/1", "test/3"]
    assert "- go to {place}" in rows[0]["prompt"][0]["content"]
    assert rows[0]["prompt"][1] == {"role": "user", "content": ""}
    factory = pickle.loads(pickle.dumps(environment_factory(TOY, max_steps=3)))
    assert factory().reset(**rows[0]).startswith("\n\nYour task: put the ")


def test_what_is_wrong_is_said() -> None:
    with pytest.raises(ConfigError, match="Without a bank nothing is retrieved; given: k"):
        ExperienceEnvironment(TOY, k=2)
    with pytest.raises(ConfigError, match="score, success or return"):
        ExperienceEnvironment(TOY, reward="fun")  # type: ignore[arg-type]
    with pytest.raises(EnvError, match="no task 'nowhere'"):
        ExperienceEnvironment(TOY).reset(task="nowhere")
    with pytest.raises(ConfigError, match="no task in split"):
        task_rows(TOY, types=["none"])


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_a_step_of_grpo_calls_the_tool_and_changes_the_model(bank: Bank, tmp_path: Path) -> None:
    """Everything is TRL's and real but for the text that the untrained model would draw: that is scripted."""
    pytest.importorskip("trl")
    import torch
    from datasets import Dataset
    from tiny import make_model, make_tokenizer
    from transformers import AutoModelForCausalLM
    from trl import GRPOConfig, GRPOTrainer
    from trl.chat_template_utils import qwen3_chat_template

    tokenizer = make_tokenizer(chat_template=qwen3_chat_template)
    model = AutoModelForCausalLM.from_pretrained(make_model(tmp_path / "model", tokenizer, max_position_embeddings=8192))
    prompts: list[str] = []

    def call(action: str) -> str:
        return f'<tool_call>\n{json.dumps({"name": "act", "arguments": {"action": action}})}\n</tool_call><|im_end|>'

    def generate(input_ids: Any, **rest: Any) -> Any:
        texts = tokenizer.batch_decode(input_ids)
        prompts.extend(texts)
        turns = []
        for number, text in enumerate(texts):
            done = text.count("<tool_response>")
            script = [call(action) for action in (solution if number % 2 == 0 else ["look"])] + ["That is all.<|im_end|>"]
            turns.append(tokenizer(script[min(done, len(script) - 1)], add_special_tokens=False)["input_ids"])
        length = max(map(len, turns))
        rows = [turn + [tokenizer.eos_token_id] + [tokenizer.pad_token_id] * (length - len(turn)) for turn in turns]
        return torch.cat([input_ids, torch.tensor(rows)], dim=1)

    toy = Toy()
    solution = play_expert(toy, toy.task("train/2"), seed=0).actions
    model.generate = generate
    before = [parameter.detach().clone() for parameter in model.parameters()]
    row = next(row for row in task_rows(TOY) if row["task"] == "train/2") | {"seed": 0}
    arguments = GRPOConfig(
        output_dir=str(tmp_path / "out"),
        max_steps=1,
        per_device_train_batch_size=2,
        num_generations=2,
        max_completion_length=2048,
        learning_rate=0.1,
        report_to=[],
        use_cpu=True,
        save_strategy="no",
        logging_steps=1,
    )
    trainer = GRPOTrainer(
        model=model,
        args=arguments,
        processing_class=tokenizer,
        train_dataset=Dataset.from_list([row, row]),
        environment_factory=environment_factory(TOY, bank=bank, k=1),
    )
    trainer.train()
    assert "Past episodes" in prompts[0]
    assert "put the apple in the" in prompts[0]
    log = next(entry for entry in trainer.state.log_history if "reward" in entry)
    assert log["rewards/ExperienceEnvironment/mean"] == pytest.approx(0.5)  # one of the two rollouts solved it
    assert log["tools/call_frequency"] > 0
    assert log["tools/failure_frequency"] == 0
    assert any(not torch.equal(old, new) for old, new in zip(before, model.parameters(), strict=True))
