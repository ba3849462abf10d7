"""What ends a turn: said at building and at training where the base itself would not stop there."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import pytest
import tiny

from exprag.bank import Bank
from exprag.models.cards import Card
from exprag.training import DataConfig, build_rows, describe_dataset, load_dataset, train, write_dataset
from exprag.training.rows.stops import StopsElsewhere
from exprag.trajectory import Trajectory
from toy import Toy

pytest.importorskip("trl")
CHATML = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def make_base(folder: Path, **generation: Any) -> Any:
    """A base whose template ends a turn with <|im_end|>, and whose own end is </s>; returns its tokenizer."""
    from transformers import AutoTokenizer, GenerationConfig

    tokenizer = tiny.make_tokenizer(chat_template=CHATML)
    tokenizer.add_special_tokens({"additional_special_tokens": ["<|im_start|>", "<|im_end|>"]})
    tiny.make_model(folder, tokenizer)
    if generation:
        GenerationConfig(**generation).save_pretrained(folder)
    return AutoTokenizer.from_pretrained(folder)


def build(path: Path, episodes: list[Trajectory], bank: Bank, tokenizer: Any = None, **choices: Any) -> Any:
    rows = build_rows(episodes[:4], bank, DataConfig.make(k=1, formatter="textual", **choices), Toy(), tokenizer)
    write_dataset(path, rows)
    return rows.report


def test_a_base_that_would_talk_on_is_named(toy_bank: Bank, toy_episodes: list[Trajectory], tmp_path: Path) -> None:
    tokenizer = make_base(tmp_path / "base")
    report = build(tmp_path / "rows", toy_episodes, toy_bank, tokenizer)
    assert "The base stops at '</s>', but its chat template ends a turn with '<|im_end|>'" in str(report)
    assert describe_dataset(tmp_path / "rows").report["notes"] == report.notes
    with pytest.warns(StopsElsewhere, match=r"give '<\|im_end\|>' as a stop token"):
        train(tmp_path / "rows", str(tmp_path / "base"), tmp_path / "out", num_train_epochs=1, batch_size=4)


def test_a_base_that_stops_there_is_not(toy_bank: Bank, toy_episodes: list[Trajectory], tokenizer: Any, tmp_path: Path) -> None:
    """Its generation config names both ends, as instruction-tuned models have it."""
    both = make_base(tmp_path / "base")
    end = both.convert_tokens_to_ids("<|im_end|>")
    both = make_base(tmp_path / "base", eos_token_id=[2, end])
    for name, each in (("rows.jsonl", both), ("other.jsonl", tokenizer)):
        assert build(tmp_path / name, toy_episodes, toy_bank, each).notes == []


def test_the_card_says_how_the_template_was_used(toy_bank: Bank, toy_episodes: list[Trajectory], tmp_path: Path) -> None:
    """A template without a system role, tokenised at building or at training: the same ids, the same card, served the same."""
    from exprag.models import load_model

    refusal = "{{ raise_exception('no system') if messages[0].role == 'system' else '' }}"
    template = refusal + tiny.CHAT_TEMPLATE
    tokenizer = tiny.make_tokenizer(chat_template=template)
    base = str(tiny.make_model(tmp_path / "base", tokenizer))
    fields = {"chat_template_kwargs": {"enable_thinking": False}}
    build(tmp_path / "ready", toy_episodes, toy_bank, tokenizer, **fields)
    build(tmp_path / "plain", toy_episodes, toy_bank, **fields)
    record = describe_dataset(tmp_path / "ready").tokenizer
    assert record is not None
    assert record.folds
    assert "messages" in load_dataset(tmp_path / "plain").column_names
    with warnings.catch_warnings():
        warnings.simplefilter("error", StopsElsewhere)
        settings = {"num_train_epochs": 1, "batch_size": 4}
        adapters = [train(tmp_path / n, base, tmp_path / f"{n}-out", **settings).adapter for n in ("ready", "plain")]
    cards = [Card.read(adapter) for adapter in adapters]
    for card in cards:
        assert (card.system, card.chat_template_kwargs) == ("fold", {"enable_thinking": False})
    weights = [(adapter / "adapter_model.safetensors").read_bytes() for adapter in adapters]
    assert weights[0] == weights[1]
    model: Any = load_model(f"hf:{adapters[0]}?max_new_tokens=2")
    assert (model.template.folds, model.template.kwargs) == (True, {"enable_thinking": False})
