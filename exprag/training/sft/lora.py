"""Training: rows, a base model and a recipe in; a folder of adapters out, one for each epoch.

    OUT/training.json          everything that was chosen; the same call continues an interrupted training
    OUT/metrics.jsonl          losses and learning rate by step
    OUT/checkpoint-STEP/       an adapter to serve, with its card, and what a resumed training needs
    OUT/rollouts/, OUT/best/   see `exprag.training.sft.checkpoints`

A thin call of TRL's SFTTrainer on rows that are tokenised and masked already: nothing here decides what a model sees.
"""

from __future__ import annotations

import os
import time
import warnings
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from exprag.errors import ModelError, boundary
from exprag.models.cards import Card, describe_base, packages
from exprag.models.chat_template import ChatTemplate
from exprag.training.rows.stops import StopsElsewhere, stop_note
from exprag.training.sft import checks
from exprag.training.sft.base import check_base, lora_config, open_base, open_config
from exprag.training.sft.checkpoints import epoch_checkpoints, select_checkpoint, whole_checkpoints
from exprag.training.sft.folder import prepared
from exprag.training.sft.inputs import Source, content_hash, open_source, open_validation, origin
from exprag.training.sft.recipes import DEFAULT, Recipe, load_recipe, recipe_of
from exprag.training.sft.rollouts import Sets, check_sets, play_checkpoint

if TYPE_CHECKING:
    from datasets import Dataset

    from exprag.runs import RunConfig
    from exprag.training.sft.trainer import EpisodeTrainer, Progress


@dataclass(frozen=True)
class TrainResult:
    """A finished training."""

    out: Path
    """Its folder."""
    adapter: Path
    """The adapter of the last epoch, or the best one where checkpoints were played."""
    checkpoints: tuple[Path, ...]
    """The checkpoints at the ends of epochs, by step."""
    steps: int
    """Optimizer steps in all."""
    epochs: float
    """Passes over the rows in all."""
    losses: dict[str, float]
    """The last training loss and validation losses by name, in nats a token."""
    seconds: float
    """How long this call took."""
    resumed: int
    """The optimizer step that this call continued from; 0: from the start."""


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
    recipe       a recipe: its name, a TOML file, or a Recipe; `overrides` change single fields of it
    validation   rows whose loss is measured after each epoch: like `dataset`, or several by name; or a share of the tasks of
                 `dataset` (a number below 1), which are then not trained on
    rollouts     sets of tasks that each epoch's checkpoint plays as soon as it is written, see `select_checkpoint`, which
                 then chooses by the set `by`

    Raises ConfigError, ModelError or RunError before any weight is loaded for what can be known by then (`checks`, `base`);
    ModelError at a loss that is not a number, RunError where a checkpoint cannot be written: the last good one is kept.
    """
    checks.check_extra()
    started = time.perf_counter()
    out, model = Path(out).expanduser(), str(model)
    source = open_source(dataset)
    recipe = recipe.changed(**overrides) if isinstance(recipe, Recipe) else load_recipe(recipe, source.environment, **overrides)
    checks.check_device(recipe)
    config, tokenizer = open_base(model)
    checks.check_tokenizer(tokenizer, model)
    check_base(model, config, recipe)
    template = source.template(tokenizer)
    sets = check_sets(rollouts, by) if rollouts is not None else {}
    from exprag.training.sft.trainer import on_this_machine

    recipe = on_this_machine(recipe)
    source, held_out = open_validation(source, validation, recipe.seed)
    rows = source.tokenised(tokenizer, config, recipe, "training")
    validation_rows = {name: s.tokenised(tokenizer, config, recipe, "validation") for name, s in held_out.items()}
    if main_process() and (note := stop_note(template, model)):
        warnings.warn(StopsElsewhere(note), stacklevel=2)
    card = _card(model, config, template, source, recipe)
    with prepared(out, card, content_hash(rows)) if main_process() else nullcontext():
        last = whole_checkpoints(out)[-1:]
        resumed = Card.read(last[0]).step if last else 0
        if not last or Card.read(last[0]).epoch < recipe.num_train_epochs:
            trainer = make_trainer(rows, validation_rows, tokenizer, out, card, progress)
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
    rows: Dataset, validation: Mapping[str, Dataset], tokenizer: Any, out: Path, card: Card, progress: Progress | None = None
) -> EpisodeTrainer:
    """The trainer of one adapter, its base loaded: TRL's, with PEFT's LoRA, as the card's recipe has it.

    `validation` are tokenised rows by name, "" for a single set. Raises ModelError where the weights cannot be loaded.
    """
    from exprag.training.sft.trainer import EpisodeTrainer, arguments, compile_layers, quantisation

    recipe, base = recipe_of(card), card.base.name
    longest = max(int(checks.row_lengths(part).max()) for part in (rows, *validation.values()))
    settings = arguments(recipe, out, longest=longest, validated=bool(validation))
    adapter = lora_config(base, open_config(base), recipe)
    with boundary(ModelError, f"The base {base!r} could not be loaded for training", cure="Look at the files of its folder."):
        trainer = EpisodeTrainer(
            out=out,
            card=card,
            progress=progress,
            model=base,
            args=settings,
            train_dataset=rows,
            eval_dataset=(validation[""] if "" in validation else dict(validation)) if validation else None,
            processing_class=tokenizer,
            quantization_config=quantisation(recipe),
            peft_config=adapter,
        )
    if recipe.torch_compile:
        compile_layers(trainer.model)
    trainable = sum(p.numel() for p in cast(Any, trainer.model).parameters() if p.requires_grad)
    checks.check_disk(out, trainable, recipe.save_total_limit or recipe.num_train_epochs - len(epoch_checkpoints(out)))
    return trainer


def _play(trainer: EpisodeTrainer, checkpoint: Path, sets: Mapping[str, RunConfig], options: Mapping[str, Any] | None) -> None:
    """Play a checkpoint that was just written, on the main process; the others wait."""
    if sets and Card.read(checkpoint).epoch.is_integer():
        if main_process():
            play_checkpoint(checkpoint, sets, model_options=options)
        trainer.accelerator.wait_for_everyone()


def _card(model: str, config: Any, template: ChatTemplate, source: Source, recipe: Recipe) -> Card:
    about = source.about
    return Card(
        base=describe_base(model, config, template.tokenizer),
        system="fold" if template.folds else "native",
        chat_template_kwargs=template.kwargs,
        recipe=recipe.model_dump(mode="json"),
        agent=about.config.agent if about else None,
        **(origin(about) if about else {}),
        dataset=source.path,
        rows=about.model_dump(mode="json") if about else {},
        packages=packages(),
    )


def main_process() -> bool:
    """Whether this is the process of `accelerate launch` that writes (it is, where there is only one)."""
    return int(os.environ.get("RANK", 0)) == 0
