"""The output layer on labelled tokens alone: fewer tokens, the same loss and the same gradients."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("trl")
import torch
from trl.trainer import utils

from exprag.models.cards import Card, describe_base
from exprag.training import load_recipe
from exprag.training.sft.lora import make_trainer
from exprag.training.sft.loss_head import labelled_tokens_only
from exprag.training.sft.trainer import EpisodeTrainer, SFTTrainer


@pytest.fixture
def trainer(base: str, toy_dataset: Path, tmp_path: Path) -> EpisodeTrainer:
    from transformers import AutoConfig, AutoTokenizer

    from exprag.training.sft.inputs import open_source

    tokenizer, config = AutoTokenizer.from_pretrained(base), AutoConfig.from_pretrained(base)
    recipe = load_recipe(precision="fp32", optim="adamw_torch", lora_dropout=0.0)
    rows = open_source(toy_dataset).tokenised(tokenizer, config, recipe, "training")
    card = Card(base=describe_base(base, config, tokenizer), recipe=recipe.model_dump(mode="json"))
    return make_trainer(rows, {}, tokenizer, tmp_path, card)


def loss_and_gradients(trainer: EpisodeTrainer, cls: type[SFTTrainer]) -> tuple[float, list[torch.Tensor], dict[str, float]]:
    batch = next(iter(trainer.get_train_dataloader()))
    trainer.model.zero_grad()
    trainer._metrics["train"].clear()
    loss = cls.compute_loss(trainer, trainer.model, batch)
    loss.backward()
    gradients = [p.grad.clone() for p in trainer.model.parameters() if p.grad is not None]
    metrics = {name: values[-1] for name, values in trainer._metrics["train"].items() if name != "num_tokens"}  # goes on counting
    return loss.item(), gradients, metrics


def test_loss_gradients_and_metrics_are_trls_own(trainer: EpisodeTrainer) -> None:
    torch.manual_seed(0)
    for name, parameter in trainer.model.named_parameters():  # LoRA begins at zero: give it something to differ in
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.02)
    theirs = loss_and_gradients(trainer, SFTTrainer)
    ours = loss_and_gradients(trainer, EpisodeTrainer)
    assert ours[0] == pytest.approx(theirs[0], rel=1e-5)
    assert len(ours[1]) == len(theirs[1]) > 0
    assert any(gradient.abs().max() > 0 for gradient in theirs[1])
    for mine, other in zip(ours[1], theirs[1], strict=True):
        torch.testing.assert_close(mine, other, rtol=1e-4, atol=1e-6)
    assert ours[2] == pytest.approx(theirs[2], rel=1e-5)


def test_only_labelled_tokens_are_scored(trainer: EpisodeTrainer, monkeypatch: pytest.MonkeyPatch) -> None:
    scored: list[int] = []
    original = utils._ChunkedLogProbFunction

    class Counting:
        @staticmethod
        def apply(hidden: torch.Tensor, *arguments: Any) -> Any:
            scored.append(hidden.shape[0])
            return original.apply(hidden, *arguments)

    monkeypatch.setattr(utils, "_ChunkedLogProbFunction", Counting)
    batch = next(iter(trainer.get_train_dataloader()))
    trainer.compute_loss(trainer.model, batch)
    labelled = int((batch["labels"][:, 1:] != -100).sum())
    assert scored == [labelled]
    assert labelled < batch["labels"].numel() / 2


def test_trl_is_left_as_it_was() -> None:
    before = utils._use_triton
    with labelled_tokens_only():
        inside = utils._use_triton(torch.device("cpu"))
    assert inside
    assert utils._use_triton is before


def test_a_trl_without_the_switch_trains_as_it_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(utils, "_use_triton")
    with labelled_tokens_only():
        assert not hasattr(utils, "_use_triton")
