"""Training: rows, a base model and a recipe in; a folder of adapters out, one for each epoch.

    OUT/training.json          everything that was chosen; the same call takes an interrupted training up again
    OUT/metrics.jsonl          losses and learning rate by step
    OUT/checkpoint-STEP/       an adapter to serve, with its card, and what a resumed training needs
    OUT/rollouts/, OUT/best/   see `exprag.training.sft.checkpoints`

A thin call of TRL's SFTTrainer on rows that are tokenised and masked already: nothing here decides what a model sees.
"""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from exprag.errors import ModelError, RunError
from exprag.files import write_whole
from exprag.models.cards import Card, describe_base, packages
from exprag.training.sft import checks
from exprag.training.sft.checkpoints import epoch_checkpoints, half_checkpoints, select_checkpoint, whole_checkpoints
from exprag.training.sft.inputs import Source, content_hash, open_source, open_validation, origin
from exprag.training.sft.recipes import DEFAULT, Recipe, change_recipe, load_recipe, recipe_of
from exprag.training.sft.rollouts import Sets, check_sets, play_checkpoint

if TYPE_CHECKING:
    from datasets import Dataset

    from exprag.runs import RunConfig
    from exprag.training.sft.trainer import EpisodeTrainer, Progress

TRAINING = "training.json"
HARMLESS = ("gradient_checkpointing", "log_steps", "save_steps", "save_total_limit")  # fields that change no weight


@dataclass(frozen=True)
class TrainResult:
    """A finished training. `adapter` is the last epoch's, or, where checkpoints were played, the best one.

    `losses`: the last training loss, and validation losses by name. `seconds` and `resumed` (the step that this call took
    the training up from) are of this call.
    """

    out: Path
    adapter: Path
    checkpoints: tuple[Path, ...]
    steps: int
    epochs: float
    losses: dict[str, float]
    seconds: float
    resumed: int


def train(
    dataset: str | Path | Dataset,
    model: str,
    out: str | Path,
    recipe: str | Path | Recipe = DEFAULT,
    *,
    validation: Any = None,
    rollouts: Sets | None = None,
    by: str | None = None,
    model_options: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
    **overrides: Any,
) -> TrainResult:
    """Train a LoRA adapter on rows. The same call after an interruption goes on from the last whole checkpoint.

    dataset      rows that `exprag data` wrote (a folder, Parquet or JSONL), or a datasets.Dataset with `input_ids` and
                 `labels`
    model        a model id or folder: the base
    recipe      a recipe: its name, a TOML file, or a Recipe; `overrides` change single fields of it
    validation   rows whose loss is told after each epoch: like `dataset`, or several by name; or a share of the tasks of
                 `dataset` (a number below 1), which are then not trained on
    rollouts     sets of tasks that each epoch's checkpoint plays as soon as it is written, see `select_checkpoint`, which
                 then chooses by the set `by`

    Raises ConfigError, ModelError or RunError before anything is loaded for what can be known by then (`checks`); ModelError
    at a loss that is no number, RunError where a checkpoint cannot be written: the last good one is kept.
    """
    checks.check_extra()
    started = time.perf_counter()
    out, model = Path(out), str(model)
    source = open_source(dataset)
    recipe = _profile(recipe, source.environment, overrides)
    checks.check_device(recipe)
    config, tokenizer = _open_base(model)
    checks.check_tokenizer(tokenizer, model)
    checks.check_targets(config, recipe)
    sets = check_sets(rollouts, by) if rollouts is not None else {}
    from exprag.training.sft.trainer import on_this_machine

    recipe = on_this_machine(recipe)
    source, held_out = open_validation(source, validation, recipe.seed)
    rows = source.tokenised(tokenizer, config, recipe, "training")
    held = {name: s.tokenised(tokenizer, config, recipe, "validation") for name, s in held_out.items()}
    card = _card(model, config, tokenizer, source, recipe)
    if main_process():
        _prepare(out, card, content_hash(rows))
    last = whole_checkpoints(out)[-1:]
    resumed = Card.read(last[0]).step if last else 0
    if not last or Card.read(last[0]).epoch < recipe.epochs:
        trainer = make_trainer(rows, held, tokenizer, out, card, progress)
        trainer.after = lambda checkpoint: _play(trainer, checkpoint, sets, model_options)
        trainer.train(resume_from_checkpoint=str(last[0]) if last else None)
    checkpoints = epoch_checkpoints(out)
    adapter = checkpoints[-1]
    if sets and main_process():
        adapter = select_checkpoint(out, sets, by=by, model_options=model_options).best
    card = Card.read(checkpoints[-1])
    losses = {name: value for name, value in card.results.items() if isinstance(value, float)}
    seconds = round(time.perf_counter() - started, 3)
    return TrainResult(out, adapter, tuple(checkpoints), card.step, card.epoch, losses, seconds, resumed)


def make_trainer(
    rows: Dataset, held: Mapping[str, Dataset], tokenizer: Any, out: Path, card: Card, progress: Progress | None = None
) -> EpisodeTrainer:
    """The trainer of one adapter, its base loaded: TRL's, with PEFT's LoRA, as the card's recipe has it."""
    from peft import LoraConfig

    from exprag.training.sft.trainer import EpisodeTrainer, arguments, quantisation

    recipe = recipe_of(card)
    targets = recipe.target_modules
    longest = max(int(checks.row_lengths(part).max()) for part in (rows, *held.values()))
    trainer = EpisodeTrainer(
        out=out,
        card=card,
        progress=progress,
        model=card.base.name,
        args=arguments(recipe, out, longest=longest, validated=bool(held)),
        train_dataset=rows,
        eval_dataset=(held[""] if "" in held else dict(held)) if held else None,
        processing_class=tokenizer,
        quantization_config=quantisation(recipe),
        peft_config=LoraConfig(
            task_type="CAUSAL_LM",
            r=recipe.rank,
            lora_alpha=recipe.alpha,
            lora_dropout=recipe.dropout,
            use_rslora=recipe.rank_stabilised,
            target_modules=targets if isinstance(targets, str) else list(targets),
        ),
    )
    trainable = sum(p.numel() for p in cast(Any, trainer.model).parameters() if p.requires_grad)
    checks.check_disk(out, trainable, recipe.save_total_limit or recipe.epochs - len(epoch_checkpoints(out)))
    return trainer


def _play(trainer: EpisodeTrainer, checkpoint: Path, sets: Mapping[str, RunConfig], options: Mapping[str, Any] | None) -> None:
    """Play a checkpoint that was just written, on the main process; the others wait."""
    if sets and Card.read(checkpoint).epoch.is_integer():
        if main_process():
            play_checkpoint(checkpoint, sets, model_options=options)
        trainer.accelerator.wait_for_everyone()


def _profile(told: str | Path | Recipe, environment: str, overrides: dict[str, Any]) -> Recipe:
    if isinstance(told, Recipe):
        return change_recipe(told, **overrides)
    return load_recipe(told, environment, **overrides)


def _open_base(model: str) -> tuple[Any, Any]:
    from transformers import AutoConfig, AutoTokenizer

    try:
        return AutoConfig.from_pretrained(model), AutoTokenizer.from_pretrained(model)
    except (OSError, ValueError, KeyError) as error:
        reason = str(error).strip().split("\n")[0]
        raise ModelError(
            f"The base {model!r} could not be opened: {reason}", cure="Check the name, the network and the files of the folder."
        ) from error


def _card(model: str, config: Any, tokenizer: Any, source: Source, recipe: Recipe) -> Card:
    about = source.about
    return Card(
        base=describe_base(model, config, tokenizer),
        recipe=recipe.model_dump(mode="json"),
        agent=about.config.agent if about else None,
        **(origin(about) if about else {}),
        dataset=source.path,
        rows=about.model_dump(mode="json") if about else {},
        packages=packages(),
    )


def _prepare(out: Path, card: Card, rows: str) -> None:
    """Make OUT, or clear it for being taken up again. Raises RunError where it holds another training."""
    told = {"rows": rows, **card.model_dump(mode="json", include={"base", "recipe", "dataset", "environment"})}
    path = out / TRAINING
    if path.is_file():
        earlier = json.loads(path.read_text(encoding="utf-8"))
        if whole_checkpoints(out) and (different := _differences(earlier, told)):
            raise RunError(
                f"{out} holds another training: {', '.join(different)}.", cure="Choose another --out, or the same settings."
            )
    elif out.exists() and any(out.iterdir()):
        raise RunError(f"{out} is not empty and holds no training.", cure="Choose another --out.")
    out.mkdir(parents=True, exist_ok=True)
    for half in half_checkpoints(out):
        shutil.rmtree(half)
    write_whole(path, json.dumps(told, indent=2) + "\n")


def _differences(earlier: dict[str, Any], now: dict[str, Any]) -> list[str]:
    """What differs between two trainings. More epochs of a constant learning rate are the same training, continued."""
    then, recipe = earlier["recipe"], now["recipe"]
    free = {"name", *HARMLESS}
    if recipe["schedule"] == "constant" and not recipe["warmup"] and recipe["epochs"] > then["epochs"]:
        free.add("epochs")
    fields = [f for f in recipe if f not in free and recipe[f] != then.get(f)]
    found = [f"{f} ({then.get(f)!r} there, {recipe[f]!r} now)" for f in fields]
    if earlier["rows"] != now["rows"]:
        found.append("other rows")
    if any(earlier["base"][part] != now["base"][part] for part in ("config", "tokenizer")):
        found.append(f"another base ({earlier['base']['name']} there, {now['base']['name']} now)")
    return found


def main_process() -> bool:
    """Whether this is the process of `accelerate launch` that writes (it is, where there is only one)."""
    return int(os.environ.get("RANK", 0)) == 0
