"""What tests of rows, training and adapters share: tokenizers, episodes of the toy and a bank of them, a base and its rows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tiny import CHAT_TEMPLATE, make_model, make_rows, make_tokenizer

from exprag.bank import Bank
from exprag.environments.expert import play_expert
from exprag.trajectory import Trajectory
from toy import Toy

# The same chat, with the markers that say what the assistant wrote.
MARKED = (
    "{{ bos_token }}{% for m in messages %}<|{{ m.role }}|>{% if m.role == 'assistant' %}"
    "{% generation %}{{ m.content }}{{ eos_token }}{% endgeneration %}{% else %}{{ m.content }}{{ eos_token }}{% endif %}"
    "{% endfor %}{% if add_generation_prompt %}<|assistant|>{% endif %}"
)


@pytest.fixture(scope="session")
def tokenizer() -> Any:
    pytest.importorskip("transformers")
    return make_tokenizer(chat_template=CHAT_TEMPLATE)


@pytest.fixture(scope="session")
def marked_tokenizer() -> Any:
    pytest.importorskip("transformers")
    return make_tokenizer(chat_template=MARKED)


@pytest.fixture(scope="session")
def toy_episodes() -> list[Trajectory]:
    """Experts' wins, and on each other task a run that looks round, goes astray and does not win."""
    toy = Toy()
    won = [play_expert(toy, task, seed=1) for split in toy.splits for task in toy.tasks(split)]
    return won


@pytest.fixture(scope="session")
def toy_bank(tmp_path_factory: pytest.TempPathFactory, toy_episodes: list[Trajectory]) -> Bank:
    bank = Bank.create(tmp_path_factory.mktemp("bank") / "toy", strategies=("task", "trajectory"))
    bank.add(toy_episodes)
    return bank


@pytest.fixture(scope="session")
def local_chat(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The chat model that serves: what it makes of messages is what training rows must hold."""
    pytest.importorskip("torch")
    from exprag.models import load_model

    return load_model(f"hf:{make_model(tmp_path_factory.mktemp('tiny') / 'model')}")


@pytest.fixture(scope="session")
def base(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A model folder to train adapters on."""
    pytest.importorskip("trl")
    return str(make_model(tmp_path_factory.mktemp("trained") / "base"))


@pytest.fixture(scope="session")
def trained(base: str) -> Any:
    """A TrainResult, beside its base: three epochs on rows that can be learnt. To be copied before it is changed."""
    from exprag.training import train

    settings = {"num_train_epochs": 3, "batch_size": 4, "learning_rate": 3e-2, "r": 16, "validation": 0.2}
    return train(make_rows(), base, Path(base).parent / "out", **settings)


@pytest.fixture(scope="session")
def toy_dataset(tmp_path_factory: pytest.TempPathFactory, toy_bank: Bank, toy_episodes: list[Trajectory], tokenizer: Any) -> Path:
    """Rows of four episodes with one recalled each, tokenised for the base."""
    from exprag.training import DataConfig, build_rows, write_dataset

    path = tmp_path_factory.mktemp("rows") / "rows"
    config = DataConfig.make(k=1, bank=toy_bank.uri, formatter="textual")
    write_dataset(path, build_rows(toy_episodes[:4], toy_bank, config, Toy(), tokenizer))
    return path
