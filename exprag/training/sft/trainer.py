"""TRL's SFTTrainer with what long trainings need: a stop at a loss that is not a number, checkpoints that are whole or absent.

A checkpoint counts once its card stands in it, which is written last (`exprag.models.cards`). Heavy: imported late.
"""

from __future__ import annotations

import json
import math
import os
import shutil
import warnings
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from transformers import BitsAndBytesConfig, TrainerCallback, TrainerControl, TrainerState, TrainingArguments
from transformers.trainer_callback import PrinterCallback
from trl import SFTConfig, SFTTrainer

from exprag.errors import ConfigError, ModelError, RunError
from exprag.files import append_line, write_whole
from exprag.models.cards import Card, finish_adapter
from exprag.training.sft.checkpoints import whole_checkpoints
from exprag.training.sft.loss_head import labelled_tokens_only
from exprag.training.sft.recipes import Recipe, recipe_of

Progress = Callable[[int, int, dict[str, float]], None]
"""Called with (optimizer steps done, steps in all, the latest logged values)."""

METRICS = "metrics.jsonl"
EIGHT_BIT = ("adamw_8bit", "paged_adamw_8bit")


class EpisodeTrainer(SFTTrainer):
    """The trainer of one adapter. `card` is what its checkpoints say about themselves, but for step, epoch and results.

    `after` is called on every process with each checkpoint that was written.
    """

    def __init__(self, *, out: Path, card: Card, progress: Progress | None = None, **arguments: Any) -> None:
        self._out, self.card = out, card
        self.after: Callable[[Path], None] = lambda checkpoint: None
        with warnings.catch_warnings(action="ignore", category=FutureWarning):  # TRL's own words for its settings
            super().__init__(**arguments)
        self.remove_callback(PrinterCallback)
        self.add_callback(Watch(out, recipe_of(card), progress))

    def compute_loss(self, *arguments: Any, **options: Any) -> Any:
        with labelled_tokens_only():
            return super().compute_loss(*arguments, **options)

    def training_step(self, model: Any, inputs: Any, num_items_in_batch: Any = None) -> torch.Tensor:
        loss: torch.Tensor = super().training_step(model, inputs, num_items_in_batch)
        if not math.isfinite(loss.item()):
            raise ModelError(
                f"The loss is {loss.item()} at step {self.state.global_step + 1}. {_last_checkpoint(self._out)}",
                cure="Lower learning_rate or max_grad_norm, or set precision to fp32, and train to another --out.",
            )
        return loss

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        folder = self._out / f"checkpoint-{self.state.global_step}"
        try:
            super()._save_checkpoint(model, trial)
            self.accelerator.wait_for_everyone()  # each process writes its own random state
            if self.is_world_process_zero():
                (folder / "training_args.bin").unlink(missing_ok=True)  # a pickle, which nothing reads
                results = _results(self.state.log_history)
                about = {"step": self.state.global_step, "epoch": self.state.epoch, "results": results}
                finish_adapter(folder, self.card.model_copy(update=about))
                self._drop_old()
            self.accelerator.wait_for_everyone()
        except (OSError, RuntimeError, SafetensorError, RunError) as error:
            if self.is_world_process_zero():
                shutil.rmtree(folder, ignore_errors=True)
            raise _unwritten(folder, error, self._out) from error
        self.after(folder)

    def _drop_old(self) -> None:
        limit = recipe_of(self.card).save_total_limit
        for old in whole_checkpoints(self._out)[: -limit if limit else 0]:
            shutil.rmtree(old)

    def create_model_card(self, *_: Any, **__: Any) -> None:
        """The card is ours."""

    def _send_telemetry(self) -> None:
        """Nothing phones home."""


class Watch(TrainerCallback):
    """Writes metrics.jsonl, reports to the caller, and keeps checkpoints between epochs."""

    def __init__(self, out: Path, recipe: Recipe, progress: Progress | None) -> None:
        self._out, self._every, self._progress = out, recipe.save_steps, progress
        self._latest: dict[str, float] = {}

    def on_train_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        if state.is_world_process_zero:
            _cut_metrics(self._out / METRICS, state.global_step)
            self._report(state)

    def on_log(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **context: Any) -> None:
        logs: dict[str, float] = context["logs"]
        if state.is_world_process_zero and "train_runtime" not in logs:
            self._latest |= logs
            try:
                append_line(self._out / METRICS, json.dumps({"step": state.global_step, "epoch": state.epoch, **logs}))
            except RunError as error:
                raise _unwritten(self._out / METRICS, error, self._out) from error

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        if self._every and state.global_step % self._every == 0:
            control.should_save = True
        if state.is_world_process_zero:
            self._report(state)

    def on_epoch_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        control.should_log = True

    def _report(self, state: TrainerState) -> None:
        if self._progress:
            self._progress(state.global_step, state.max_steps, dict(self._latest))


def arguments(recipe: Recipe, out: Path, *, longest: int, validated: bool) -> SFTConfig:
    """The recipe as TRL takes it. `longest` is the longest row: nothing is ever cut."""
    gpu, bf16 = torch.cuda.is_available(), recipe.precision == "bf16"
    constant = recipe.lr_scheduler_type == "constant"
    with warnings.catch_warnings(action="ignore", category=FutureWarning):  # newer names for settings that older versions lack
        return SFTConfig(
            output_dir=str(out),
            per_device_train_batch_size=recipe.per_device_train_batch_size,
            per_device_eval_batch_size=recipe.per_device_train_batch_size,
            gradient_accumulation_steps=_accumulation(recipe),
            num_train_epochs=recipe.num_train_epochs,
            learning_rate=recipe.learning_rate,
            lr_scheduler_type="constant_with_warmup" if constant and recipe.warmup_steps else recipe.lr_scheduler_type,
            warmup_steps=recipe.warmup_steps,  # below 1: a share of all steps, rounded up
            optim=recipe.optim,
            weight_decay=recipe.weight_decay,
            max_grad_norm=recipe.max_grad_norm,
            label_smoothing_factor=recipe.label_smoothing_factor,
            bf16=bf16,
            fp16=False,
            gradient_checkpointing=bool(recipe.gradient_checkpointing),
            model_init_kwargs={"dtype": "bfloat16" if bf16 else "float32"},
            seed=recipe.seed,
            max_length=max(longest, recipe.pack_length or 0) if recipe.packing else None,
            packing=recipe.packing,
            packing_strategy="bfd",  # position ids begin again with each episode, and attention stays within it
            eval_packing=False,
            dataset_kwargs=None if recipe.packing else {"skip_prepare_dataset": True},
            eval_strategy="epoch" if validated else "no",
            save_strategy="epoch",
            logging_steps=recipe.logging_steps,
            logging_first_step=True,
            logging_nan_inf_filter=False,
            dataloader_pin_memory=gpu,
            ddp_find_unused_parameters=False,
            ddp_timeout=24 * 3600,  # rollouts on the main process may keep the others waiting
            report_to="none",
            disable_tqdm=True,
            use_cpu=not gpu,
        )


def compile_layers(model: Any) -> None:
    """Have the decoder layers of a model with LoRA compiled, in place: they are alike, so they share what is compiled.

    Raises ConfigError for a model that keeps no list of them.
    """
    parts = model.get_base_model().get_decoder().children()
    layers = [layer for part in parts if isinstance(part, torch.nn.ModuleList) for layer in part]
    if not layers:
        raise ConfigError("The base keeps no list of decoder layers to compile.", cure="Set torch_compile = false.")
    for layer in layers:
        layer.compile(dynamic=True)


def on_this_machine(recipe: Recipe) -> Recipe:
    """The recipe with everything decided that it leaves to the machine."""
    gpu = torch.cuda.is_available()
    precision, checkpointing = recipe.precision, recipe.gradient_checkpointing
    if precision == "auto":
        precision = "bf16" if gpu and torch.cuda.is_bf16_supported() else "fp32"
    eight_bits = gpu and find_spec("bitsandbytes") is not None
    return recipe.changed(
        optim=recipe.optim if eight_bits or recipe.optim not in EIGHT_BIT else "adamw_torch_fused",
        precision=precision,
        gradient_checkpointing=gpu if checkpointing is None else checkpointing,
    )


def quantisation(recipe: Recipe) -> BitsAndBytesConfig | None:
    """The base in 4 bits, as QLoRA has it (arXiv 2305.14314)."""
    if not recipe.qlora:
        return None
    return BitsAndBytesConfig(
        load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True, bnb_4bit_compute_dtype=torch.bfloat16
    )


def _accumulation(recipe: Recipe) -> int:
    """Forward passes for one optimizer step of `batch_size` rows over all processes."""
    rows = recipe.per_device_train_batch_size * int(os.environ.get("WORLD_SIZE", 1))
    if recipe.batch_size % rows:
        raise ConfigError(
            f"A batch of {recipe.batch_size} rows cannot be split into passes of {rows} "
            "(per_device_train_batch_size × processes).",
            cure="Choose a batch_size that is a multiple.",
        )
    return recipe.batch_size // rows


def _unwritten(path: Path, error: Exception, out: Path) -> RunError:
    reason = error.message.rstrip(".") if isinstance(error, RunError) else str(error)
    return RunError(
        f"{path} could not be written ({reason}). {_last_checkpoint(out)}",
        cure="Free space on the disk and run the same command again: it goes on from there.",
    )


def _last_checkpoint(out: Path) -> str:
    checkpoints = whole_checkpoints(out)
    return f"The last good checkpoint is {checkpoints[-1]}." if checkpoints else "There is no checkpoint yet."


def _results(history: list[dict[str, float]]) -> dict[str, float]:
    """The latest training loss, and every validation loss of the latest evaluation."""
    results: dict[str, float] = {}
    for logs in history:
        results |= {name: value for name, value in logs.items() if name.endswith("loss") and name != "train_loss"}
    return results


def _cut_metrics(path: Path, step: int) -> None:
    """Forget what an interrupted training logged after the checkpoint that it continues from."""
    if not path.exists():
        return
    lines = [line for line in path.read_text(encoding="utf-8").splitlines() if _step_of(line) <= step]
    write_whole(path, "".join(line + "\n" for line in lines))


def _step_of(line: str) -> float:
    try:
        return float(json.loads(line)["step"])
    except (ValueError, KeyError):  # torn by a kill
        return math.inf
