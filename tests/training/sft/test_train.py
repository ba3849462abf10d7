"""Training on a Llama made on the spot: real TRL, real PEFT, real kills; only the model is small."""

from __future__ import annotations

import itertools
import json
import os
import resource
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import tiny

from exprag.errors import ConfigError, ExpragError, ModelError, RunError
from exprag.models.cards import Card
from exprag.training import TrainResult, load_recipe, train

pytest.importorskip("trl")
FAST = {"num_train_epochs": 2, "batch_size": 4, "learning_rate": 1e-2}


def weights(adapter: Path) -> dict[str, Any]:
    from safetensors.torch import load_file

    return load_file(adapter / "adapter_model.safetensors")


def same(one: Path, other: Path) -> bool:
    import torch

    left, right = weights(one), weights(other)
    return left.keys() == right.keys() and all(torch.equal(left[name], right[name]) for name in left)


def test_loss_falls_and_every_epoch_leaves_an_adapter(trained: TrainResult) -> None:
    logged = [json.loads(line) for line in (trained.out / "metrics.jsonl").read_text().splitlines()]
    losses = [line["loss"] for line in logged if "loss" in line]
    assert losses[-1] < losses[0] - 0.05
    assert len([line for line in logged if "eval_loss" in line]) == 3
    assert [c.name for c in trained.checkpoints] == ["checkpoint-3", "checkpoint-6", "checkpoint-9"]
    assert trained.adapter == trained.checkpoints[-1]
    assert trained.steps == 9  # ten of twelve rows are trained on, four a step
    assert trained.losses["eval_loss"] == pytest.approx(logged[-1]["eval_loss"])


def test_checkpoints_hold_no_pickle_of_settings_and_say_where_they_come_from(trained: TrainResult, base: str) -> None:
    assert not list(trained.out.rglob("*.bin"))
    card = Card.read(trained.adapter)
    assert card.base.name == base
    assert (card.step, card.epoch) == (9, 3.0)
    assert card.recipe["r"] == 16
    assert card.packages["trl"]
    assert "eval_loss" in (trained.adapter / "README.md").read_text()


@pytest.mark.slow
def test_a_finished_training_is_not_repeated_and_can_be_carried_on(base: str, tmp_path: Path) -> None:
    rows = tiny.make_rows()
    first = train(rows, base, tmp_path / "out", **FAST)
    before = (first.adapter / "adapter_model.safetensors").stat().st_mtime_ns
    again = train(rows, base, tmp_path / "out", **FAST)
    assert again.resumed == first.steps
    assert (again.adapter / "adapter_model.safetensors").stat().st_mtime_ns == before
    longer = train(rows, base, tmp_path / "out", **FAST | {"num_train_epochs": 3})
    assert longer.epochs == 3
    assert longer.resumed == first.steps
    assert same(longer.adapter, train(rows, base, tmp_path / "at_once", **FAST | {"num_train_epochs": 3}).adapter)


def test_packed_episodes_do_not_see_each_other(base: str, tmp_path: Path) -> None:
    """A packed batch gives each episode the logits and the loss that it has alone."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from exprag.models.cards import Base
    from exprag.training.sft.lora import make_trainer

    rows = tiny.make_rows(8)
    recipe = load_recipe(packing=True, pack_length=160, precision="fp32", gradient_checkpointing=False, optim="adamw_torch")
    tokenizer = AutoTokenizer.from_pretrained(base)
    validation = tiny.make_rows(2, longest=400, seed=1)
    card = Card(base=Base(name=base), recipe=recipe.model_dump(mode="json"))
    trainer = make_trainer(rows, {"": validation}, tokenizer, tmp_path, card)
    assert list(trainer.eval_dataset["input_ids"]) == list(validation["input_ids"])  # not cut to the length of a pack
    model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32).eval()
    episodes = 0
    for batch in trainer.get_train_dataloader():
        assert batch["input_ids"].shape[1] <= 400
        ids, places = batch["input_ids"], batch["position_ids"]
        starts = [*(places[0] == 0).nonzero().flatten().tolist(), ids.shape[1]]
        with torch.no_grad():
            packed = model(input_ids=ids, position_ids=places, use_cache=False).logits[0]  # as TRL calls it
            loss = trainer.model.eval() and trainer.compute_loss(trainer.model, dict(batch))
            total, count = 0.0, 0
            for start, end in itertools.pairwise(starts):
                alone = model(input_ids=ids[:, start:end]).logits[0]
                assert torch.allclose(packed[start:end], alone, atol=1e-5)
                labels = batch["labels"][0, start:end]
                losses = torch.nn.functional.cross_entropy(alone[:-1], labels[1:], reduction="none", ignore_index=-100)
                total, count = total + losses.sum().item(), count + int((labels[1:] != -100).sum())
        assert len(starts) > 2  # several in one
        assert loss.item() == pytest.approx(total / count, rel=1e-5)
        episodes += len(starts) - 1
    assert episodes == 8


@pytest.mark.slow
def test_the_loss_of_a_recipe_may_be_that_of_every_token(base: str, tmp_path: Path) -> None:
    result = train(tiny.make_rows(), base, tmp_path, **FAST, loss="all", label_smoothing_factor=0.1, packing=True)
    assert result.epochs == 2


def test_a_loss_that_is_not_a_number_stops_and_keeps_the_last_good_checkpoint(base: str, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"loss is (nan|inf).*checkpoint-1") as caught:
        train(tiny.make_rows(4), base, tmp_path, num_train_epochs=5, batch_size=4, learning_rate=1e38, max_grad_norm=0)
    assert "learning_rate" in caught.value.cure
    assert [p.name for p in tmp_path.glob("checkpoint-*")] == ["checkpoint-1"]


@pytest.mark.slow
@pytest.mark.parametrize("limit", [6_000, 20_000], ids=["adapter", "optimizer"])
def test_a_full_disk_keeps_the_last_good_checkpoint_and_training_goes_on_later(base: str, tmp_path: Path, limit: int) -> None:
    """The limit on file sizes makes writes fail as a full disk does: in the middle of a file."""
    rows, out = tiny.make_rows(8), tmp_path / "out"
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)

    def fill(step: int, steps: int, logs: dict[str, float]) -> None:
        if step == 3:
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))

    try:
        with pytest.raises(RunError, match=r"checkpoint-4 could not be written.*checkpoint-2") as caught:
            train(rows, base, out, **FAST | {"num_train_epochs": 3}, progress=fill)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert "same command" in caught.value.cure
    assert [p.name for p in out.glob("checkpoint-*")] == ["checkpoint-2"]
    resumed = train(rows, base, out, **FAST | {"num_train_epochs": 3})
    assert resumed.resumed == 2
    assert same(resumed.adapter, train(rows, base, tmp_path / "whole", **FAST | {"num_train_epochs": 3}).adapter)


KILLED = """
import os, signal, sys
from pathlib import Path
import tiny
from exprag.training import train

def kill(step, steps, logs):
    if step == 8:
        os.kill(os.getpid(), signal.SIGKILL)

train(tiny.make_rows(), sys.argv[1], sys.argv[2], num_train_epochs=4, batch_size=4, learning_rate=1e-2, progress=kill)
"""


@pytest.mark.slow
def test_killed_and_resumed_gives_the_same_weights(base: str, tmp_path: Path, root: Path) -> None:
    """kill -9 in the middle of the third epoch, and a checkpoint that was only half written."""
    env = {**os.environ, "PYTHONPATH": str(root / "tests")}
    killed = subprocess.run([sys.executable, "-c", KILLED, base, str(tmp_path / "out")], env=env, timeout=500)
    assert killed.returncode == -9
    assert sorted(p.name for p in (tmp_path / "out").glob("checkpoint-*")) == ["checkpoint-3", "checkpoint-6"]
    half = tmp_path / "out" / "checkpoint-9"
    shutil.copytree(tmp_path / "out" / "checkpoint-6", half)
    (half / "exprag.json").unlink()
    (half / "adapter_model.safetensors").write_bytes((half / "adapter_model.safetensors").read_bytes()[:1000])

    settings = {"num_train_epochs": 4, "batch_size": 4, "learning_rate": 1e-2}
    resumed = train(tiny.make_rows(), base, tmp_path / "out", **settings)
    whole = train(tiny.make_rows(), base, tmp_path / "whole", **settings)
    assert (resumed.resumed, whole.resumed) == (6, 0)
    assert [c.name for c in resumed.checkpoints] == [c.name for c in whole.checkpoints]
    for ours, theirs in zip(resumed.checkpoints, whole.checkpoints, strict=True):
        assert same(ours, theirs)
    logged = [[json.loads(line)["step"] for line in (out / "metrics.jsonl").open()] for out in (resumed.out, whole.out)]
    assert logged[0] == logged[1]


@pytest.mark.slow
def test_a_checkpoint_between_epochs_is_resumed_from(base: str, tmp_path: Path) -> None:
    def stop(step: int, steps: int, logs: dict[str, float]) -> None:
        if step == 3:
            raise KeyboardInterrupt

    rows, settings = tiny.make_rows(), FAST | {"num_train_epochs": 1, "batch_size": 3, "save_steps": 2}
    with pytest.raises(KeyboardInterrupt):
        train(rows, base, tmp_path / "out", **settings, progress=stop)
    resumed = train(rows, base, tmp_path / "out", **settings)
    assert resumed.resumed == 2
    assert same(resumed.adapter, train(rows, base, tmp_path / "whole", **settings).adapter)
    assert [c.name for c in resumed.checkpoints] == ["checkpoint-4"]  # the epoch's, not the one between


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"target_modules": ("query_key_value",)}, r"no linear layers query_key_value.*q_proj"),
        ({"qlora": True}, r"4 bits, which needs a GPU"),
        ({"r": 0}, r"r: .*greater than or equal to 1"),
        ({"lerning_rate": 1}, r"lerning_rate: Extra.*'learning_rate'"),
        ({"recipe": "exprag-lroa"}, r"no recipe 'exprag-lroa'.*exprag-lora"),
        ({"batch_size": 3, "per_device_train_batch_size": 2}, r"batch of 3 rows cannot be split"),
        ({"validation": 1.5}, r"1\.5 cannot be held out"),
    ],
)
def test_settings_that_cannot_work_are_told_before_anything_is_loaded(
    base: str, tmp_path: Path, settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(ExpragError, match=message):
        train(tiny.make_rows(), base, tmp_path / "out", **settings)
    assert not list((tmp_path / "out").glob("checkpoint-*"))


def test_compiling_without_a_compiler_is_told(base: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    if torch.cuda.is_available():
        pytest.skip("a GPU needs none")
    monkeypatch.setenv("CXX", "no-such-compiler")
    with pytest.raises(ConfigError, match=r"needs a C\+\+ compiler.*no-such-compiler.*torch_compile = false"):
        train(tiny.make_rows(), base, tmp_path / "out", torch_compile=True)
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_compiled_layers_learn_the_same(base: str, tmp_path: Path) -> None:
    rows, adapters = tiny.make_rows(), []
    for compiled in (False, True):
        fields: dict[str, Any] = {**FAST, "lora_dropout": 0.0, "torch_compile": compiled}
        adapters.append(train(rows, base, tmp_path / str(compiled), **fields).adapter)
    plain, quick = (weights(adapter) for adapter in adapters)
    assert plain.keys() == quick.keys()
    for name, weight in plain.items():
        assert (weight - quick[name]).abs().max() < 1e-3  # ten times less than one step of the learning rate


def test_sets_that_cannot_be_played_are_told_before_training(base: str, tmp_path: Path) -> None:
    from exprag.runs import RunConfig

    set_ = RunConfig.make(environment="toy:Toy", types=("fetch",))
    with pytest.raises(ConfigError, match=r"no set 'hard'.*easy"):
        train(tiny.make_rows(), base, tmp_path / "out", rollouts={"easy": set_}, by="hard")
    with pytest.raises(ConfigError, match="no tasks"):
        train(tiny.make_rows(), base, tmp_path / "out", rollouts=set_.model_copy(update={"types": ("fly",)}))
    assert not (tmp_path / "out").exists()


def test_without_the_extra_it_is_said_how_to_get_it(base: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "trl", None)
    with pytest.raises(ConfigError, match=r"Training needs trl\. pip install 'exprag\[train\]'"):
        train(tiny.make_rows(), base, tmp_path / "out")


def test_bad_rows_are_told(base: str, tmp_path: Path) -> None:
    from datasets import Dataset

    def refused(rows: list[dict[str, Any]], message: str) -> None:
        with pytest.raises(ConfigError, match=message):
            train(Dataset.from_list(rows), base, tmp_path / "out")

    good = {"input_ids": [7] * 10, "labels": [-100] * 5 + [7] * 5}
    refused([good, good | {"labels": [-100] * 10}], r"1 of 2 training rows have no trained token: rows 1")
    refused([good | {"labels": [-100] * 10}], r"No token of the training rows is trained")
    refused([good, {"input_ids": [7] * 9000, "labels": [7] * 9000}], r"1 of 2 .* longer than the context .*8192.* rows 1, .*9000")
    refused([{"input_ids": [7, 9999], "labels": [7, 9999]}], r"token 9999, and the base has 262 tokens")
    refused([{"input_ids": [7, 7]}], r"without `labels`")
    refused([{"text": "hello"}], r"columns text")
    with pytest.raises(ConfigError, match="no training rows"):
        train(tiny.make_rows().select([]), base, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_bad_bases_are_told(tmp_path: Path) -> None:
    rows = tiny.make_rows()
    with pytest.raises(ModelError, match="could not be opened"):
        train(rows, str(tmp_path / "nowhere"), tmp_path / "out")
    mute = tiny.make_model(tmp_path / "mute", tiny.make_tokenizer(chat_template=None))
    with pytest.raises(ModelError, match="no chat template"):
        train(rows, str(mute), tmp_path / "out")
    unpadded = tiny.make_model(tmp_path / "unpadded", tiny.make_tokenizer(pad_token=None, eos_token=None))
    with pytest.raises(ModelError, match="neither a pad token nor an end token"):
        train(rows, str(unpadded), tmp_path / "out")


@pytest.mark.slow
def test_a_missing_pad_token_changes_nothing(base: str, tmp_path: Path) -> None:
    """Padding is masked, so that the end token serves as well."""
    unpadded = tiny.make_model(tmp_path / "unpadded", tiny.make_tokenizer(pad_token=None))
    settings = FAST | {"num_train_epochs": 1, "per_device_train_batch_size": 4}
    one = train(tiny.make_rows(), str(unpadded), tmp_path / "one", **settings)
    assert same(one.adapter, train(tiny.make_rows(), base, tmp_path / "other", **settings).adapter)


def test_a_folder_of_another_training_is_left_alone(trained: TrainResult, base: str, tmp_path: Path) -> None:
    settings = {"num_train_epochs": 3, "batch_size": 4, "learning_rate": 3e-2, "r": 16, "validation": 0.2}
    with pytest.raises(RunError, match=r"another training: r \(16 there, 8 now\)"):
        train(tiny.make_rows(), base, trained.out, **settings | {"r": 8})
    with pytest.raises(RunError, match="other rows"):
        train(tiny.make_rows(seed=1), base, trained.out, **settings)
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(RunError, match="not empty"):
        train(tiny.make_rows(), base, tmp_path, **settings)


def test_recipes_are_the_papers_and_can_be_changed(tmp_path: Path) -> None:
    paper = load_recipe("exprag-lora", "scienceworld")
    assert (paper.r, paper.lora_alpha, paper.lora_dropout, paper.learning_rate, paper.num_train_epochs) == (8, 16, 0.1, 5e-5, 29)
    assert (paper.lr_scheduler_type, paper.optim, paper.weight_decay) == ("constant", "paged_adamw_8bit", 0)
    assert load_recipe("exprag-lora", "alfworld").num_train_epochs == 9
    rslora = load_recipe("rslora-128")
    assert (rslora.r, rslora.lora_alpha, rslora.use_rslora, rslora.target_modules) == (128, 256, True, "all-linear")
    assert (rslora.learning_rate, rslora.warmup_steps, rslora.lr_scheduler_type) == (1e-5, 0.1, "linear")
    hints, shop = load_recipe("hint-distill", "alfworld"), load_recipe("hint-distill", "webshop")
    assert (hints.r, hints.lora_alpha, hints.weight_decay, hints.loss, hints.qlora) == (64, 128, 0.01, "all", True)
    assert (shop.r, shop.lora_alpha, shop.lora_dropout) == (16, 32, 0.2)
    assert (shop.weight_decay, shop.label_smoothing_factor) == (0.05, 0.1)
    assert (shop.learning_rate, shop.num_train_epochs, shop.batch_size) == (2e-4, 1, 8)

    mine = tmp_path / "mine.toml"
    mine.write_text('base = "hint-distill"\nr = 4\n[on.webshop]\nlora_dropout = 0.3\n')
    recipe = load_recipe(mine, "webshop", num_train_epochs=2)
    assert (recipe.name, recipe.r, recipe.lora_alpha, recipe.lora_dropout, recipe.num_train_epochs) == ("mine", 4, 32, 0.3, 2)
    mine.write_text("base = 'mine.toml'")
    with pytest.raises(ConfigError, match=r"no recipe|Cannot read"):
        load_recipe(mine)
    mine.write_text("r = = 4")
    with pytest.raises(ConfigError, match="not valid TOML"):
        load_recipe(mine)


@pytest.mark.slow
@pytest.mark.parametrize("recipe", ["exprag-lora", "rslora-128", "hint-distill"])
def test_every_recipe_trains(base: str, tmp_path: Path, recipe: str) -> None:
    result = train(tiny.make_rows(), base, tmp_path, recipe, num_train_epochs=1, qlora=False)
    assert result.losses["loss"] > 0
    config = json.loads((result.adapter / "adapter_config.json").read_text())
    assert config["use_rslora"] is (recipe == "rslora-128")
    modules = {name.split(".")[-3] for name in weights(result.adapter)}
    attention = {"q_proj", "k_proj", "v_proj", "o_proj"}
    assert modules == (attention if recipe == "exprag-lora" else attention | {"gate_proj", "up_proj", "down_proj"})
