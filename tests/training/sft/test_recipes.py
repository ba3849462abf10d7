"""Recipes: the names of TRL and PEFT, and what version 0.1 wrote under its own."""

from __future__ import annotations

import json
import shutil
from dataclasses import fields
from pathlib import Path

import pytest
import tiny

from exprag.errors import ConfigError, RunError
from exprag.models.cards import Card
from exprag.training import Recipe, TrainResult, load_recipe, train
from exprag.training.sft.folder import check_same
from exprag.training.sft.recipes import recipe_names, recipe_of

OURS = {"name", "last_layers", "qlora", "batch_size", "loss", "pack_length", "precision"}
OLD = {
    "name": "mine",
    "rank": 16,
    "alpha": 32,
    "dropout": 0.1,
    "rank_stabilised": True,
    "target_modules": ["q_proj"],
    "qlora": False,
    "optimizer": "adamw",
    "learning_rate": 3e-2,
    "schedule": "linear",
    "warmup": 0.1,
    "weight_decay": 0.01,
    "max_grad_norm": 1.0,
    "label_smoothing": 0.1,
    "epochs": 3,
    "batch_size": 4,
    "device_batch_size": 2,
    "loss": "assistant",
    "packing": False,
    "pack_length": None,
    "precision": "fp32",
    "gradient_checkpointing": False,
    "save_steps": None,
    "save_total_limit": None,
    "log_steps": 5,
    "seed": 2025,
}
NEW = Recipe(
    name="mine",
    r=16,
    lora_alpha=32,
    lora_dropout=0.1,
    use_rslora=True,
    target_modules=("q_proj",),
    learning_rate=3e-2,
    lr_scheduler_type="linear",
    warmup_steps=0.1,
    weight_decay=0.01,
    label_smoothing_factor=0.1,
    num_train_epochs=3,
    batch_size=4,
    per_device_train_batch_size=2,
    precision="fp32",
    gradient_checkpointing=False,
    logging_steps=5,
)


def test_fields_bear_the_names_of_trl_and_peft() -> None:
    peft, trl = pytest.importorskip("peft"), pytest.importorskip("trl")
    theirs = {field.name for config in (peft.LoraConfig, trl.SFTConfig) for field in fields(config)}
    assert set(Recipe.model_fields) - theirs == OURS
    assert all(field.description for field in Recipe.model_fields.values())


@pytest.mark.parametrize("warmup", [0, 0.05, 0.1, 1, 7])
def test_warmup_steps_mean_what_they_mean_in_transformers(warmup: float, tmp_path: Path) -> None:
    """Below 1 a share of all steps, else a number of them."""
    pytest.importorskip("trl")
    from exprag.training.sft.trainer import arguments

    recipe = load_recipe(warmup_steps=warmup, precision="fp32", optim="adamw_torch", gradient_checkpointing=False)
    trl = arguments(recipe, tmp_path, longest=10, validated=False)
    assert trl.get_warmup_steps(30) == {0: 0, 0.05: 2, 0.1: 3, 1: 1, 7: 7}[warmup]
    assert trl.lr_scheduler_type.value == ("constant_with_warmup" if warmup else "constant")


def test_a_toml_file_of_version_0_1_is_read(tmp_path: Path) -> None:
    old = tmp_path / "mine.toml"
    lines = [f"{name} = {json.dumps(value)}" for name, value in OLD.items() if value is not None]
    old.write_text("\n".join([*lines, "[on.alfworld]", "epochs = 5"]))
    assert load_recipe(old) == NEW
    assert load_recipe(old, "alfworld") == NEW.changed(num_train_epochs=5)
    assert load_recipe(old, r=2) == load_recipe(old, rank=2) == NEW.changed(r=2)  # what is given here covers the file


def test_old_and_new_names_cover_one_another_layer_by_layer(tmp_path: Path) -> None:
    mine = tmp_path / "mine.toml"
    mine.write_text('base = "exprag-lora"\nrank = 16\nr = 8\n[on.alfworld]\nrank = 4\n')
    assert load_recipe(mine).r == 8
    assert load_recipe(mine, "alfworld").r == 4
    assert load_recipe(mine, "alfworld", r=2).r == 2


def test_a_card_of_version_0_1_is_read(tmp_path: Path) -> None:
    card = {"base": {"name": "base"}, "profile": OLD, "arm": None, "step": 3, "epoch": 1.0}
    (tmp_path / "exprag.json").write_text(json.dumps(card))
    assert recipe_of(Card.read(tmp_path)) == NEW


def test_a_training_of_version_0_1_is_known_again(trained: TrainResult, base: str, tmp_path: Path) -> None:
    """Its training.json in the old words: the same settings find it finished, others are told in today's names."""
    out = Path(shutil.copytree(trained.out, tmp_path / "out"))
    training = json.loads((out / "training.json").read_text())
    names = {new: old for old, new in Recipe.old_names.items()}
    old = {names.get(name, name): value for name, value in training.pop("recipe").items()}
    (out / "training.json").write_text(json.dumps({**training, "profile": old}))
    settings = {"epochs": 3, "batch_size": 4, "learning_rate": 3e-2, "rank": 16, "validation": 0.2}
    assert train(tiny.make_rows(), base, out, **settings).resumed == trained.steps
    (out / "training.json").write_text(json.dumps({**training, "profile": old}))
    with pytest.raises(RunError, match=r"another training: r \(16 there, 8 now\)"):
        train(tiny.make_rows(), base, out, **settings | {"rank": 8})


def test_a_damaged_training_json_is_one_line(trained: TrainResult, tmp_path: Path) -> None:
    out = Path(shutil.copytree(trained.out, tmp_path / "out"))
    for text in ("{", "[]", '{"rows": ""}', '{"recipe": {"r": 0}, "rows": ""}'):
        (out / "training.json").write_text(text)
        with pytest.raises(RunError, match=r"training\.json is damaged"):
            check_same(out, {})


def test_what_is_wrong_is_said_with_the_name_of_the_recipe(tmp_path: Path) -> None:
    mine = tmp_path / "mine.toml"
    mine.write_text("lora_alhpa = 3")
    with pytest.raises(ConfigError, match=r"recipe 'mine'.*lora_alhpa.*'lora_alpha'"):
        load_recipe(mine)
    mine.write_text("warmup_steps = -1")
    with pytest.raises(ConfigError, match=r"recipe 'mine'.*warmup_steps.*greater than or equal to 0"):
        load_recipe(mine)
    assert {"exprag-lora", "rslora-128", "hint-distill"} <= set(recipe_names())
