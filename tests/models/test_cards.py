"""Adapter folders: their cards, their travels, and what is said when they are served otherwise than they were trained."""

from __future__ import annotations

import json
import shutil
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from exprag.bank import Bank
from exprag.errors import ModelError, RunError
from exprag.graph import build_agent
from exprag.models import load_model
from exprag.models.cards import Card, ServedOtherwise
from exprag.training import rollout_config, train
from toy import Toy


@pytest.fixture(scope="module")
def adapter(base: str, toy_dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Trained on rows with memory, beside its base."""
    place = tmp_path_factory.mktemp("served")
    moved = shutil.copytree(base, place / "base")
    return train(toy_dataset, str(moved), place / "out", num_train_epochs=1, batch_size=4).adapter


@pytest.fixture
def no_warning() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("error", ServedOtherwise)
        yield


def test_the_card_says_everything(adapter: Path, toy_dataset: Path, toy_bank: Bank) -> None:
    card = Card.read(adapter)
    assert card.agent is not None
    assert (card.agent.k, card.agent.formatter, card.agent.strategy, card.agent.placement) == (1, "textual", "task", "system")
    assert (card.environment, card.bank, card.bank_version) == ("toy", toy_bank.uri, toy_bank.version)
    assert card.dataset == str(toy_dataset)
    assert len(card.base.config) == len(card.base.tokenizer) == 16
    assert card.rows["tokenizer"]
    text = (adapter / "README.md").read_text()
    assert text.startswith("---\nbase_model: ")
    for words in ("exprag-lora", "textual", f"version {toy_bank.version}", "| loss |", "| peft |"):
        assert words in text
    assert Card.model_validate_json(card.model_dump_json()) == card


def test_served_as_trained_is_silent_and_otherwise_is_told_by_name(adapter: Path, toy_bank: Bank, no_warning: None) -> None:
    agent = Card.read(adapter).agent
    assert agent is not None
    model = load_model(f"hf:{adapter}?max_new_tokens=2")
    build_agent(Toy, model, bank=toy_bank, config=agent)
    build_agent(Toy, model, bank=toy_bank, k=1, formatter="textual")
    other = agent.model_copy(update={"formatter": "chat_json", "placement": "tail", "k": 4})
    with pytest.raises(ServedOtherwise) as caught:
        build_agent(Toy, model, bank=toy_bank, config=other)
    message = str(caught.value)
    for difference in (
        "formatter ('textual' trained, 'chat_json' served)",
        "placement ('system' trained",
        "k (1 trained, 4 served)",
    ):
        assert difference in message
    assert "strategy" not in message
    with pytest.raises(ServedOtherwise, match=r"memory \(from a bank trained, none served\)\.$"):
        build_agent(Toy, model, config=agent)
    with pytest.raises(ServedOtherwise, match=r"memory \(from a bank trained, none served\)"):
        build_agent(Toy, model, bank=toy_bank, config=agent.model_copy(update={"k": 0}))
    build_agent(Toy, model, bank=toy_bank, config=agent.model_copy(update={"index_types": ("fetch",)}))  # of the tasks at hand
    with pytest.raises(ServedOtherwise, match=r"style \('act' trained"):
        build_agent(Toy, model, bank=toy_bank, config=agent.model_copy(update={"style": "react"}))


def test_rollouts_are_configured_as_trained(adapter: Path, toy_dataset: Path) -> None:
    config = rollout_config(adapter, split="train", limit=3)
    assert config.agent == Card.read(adapter).agent
    assert (config.environment, config.bank, config.limit) == ("toy", Card.read(adapter).bank, 3)
    assert rollout_config(toy_dataset, split="train", limit=3) == config


def test_an_adapter_travels_with_its_base_and_without(adapter: Path, tmp_path: Path) -> None:
    assert json.loads((adapter / "adapter_config.json").read_text())["base_model_name_or_path"] == "../../base"
    both = shutil.copytree(adapter.parents[1], tmp_path / "elsewhere")
    served: Any = load_model(f"hf:{both / 'out' / adapter.name}")
    assert served.adapter == str(both / "out" / adapter.name)
    alone = shutil.copytree(adapter, tmp_path / "alone" / "adapter")
    with pytest.raises(ModelError, match=r"which is not there\. Say where it is: hf:.*\?base=FOLDER"):
        load_model(f"hf:{alone}")
    load_model(f"hf:{alone}?base={both / 'base'}")


def test_a_base_elsewhere_is_named_by_its_path_and_an_id_by_itself(tmp_path: Path) -> None:
    from exprag.models.cards import portable_base

    adapter = tmp_path / "runs" / "lora" / "checkpoint-1"
    far, near = tmp_path / "models" / "base", tmp_path / "runs" / "models" / "base"
    for folder in (adapter, far, near):
        folder.mkdir(parents=True)
    assert portable_base(str(far), adapter) == str(far)
    assert portable_base(str(near), adapter) == "../../models/base"
    assert portable_base("owner/name", adapter) == "owner/name"


def test_a_dataset_of_another_tokenizer_is_refused(toy_dataset: Path, tmp_path: Path) -> None:
    import tiny

    from exprag.errors import ConfigError

    other = tiny.make_tokenizer()
    other.add_tokens(["look", "take"])
    base = tiny.make_model(tmp_path / "base", other)
    with pytest.raises(ConfigError, match="tokenizer"):
        train(toy_dataset, str(base), tmp_path / "out")


def test_a_damaged_card_is_told(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"no exprag\.json"):
        Card.read(tmp_path)
    (tmp_path / "exprag.json").write_text("{}")
    with pytest.raises(RunError, match="damaged"):
        Card.read(tmp_path)
