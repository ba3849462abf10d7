"""Recipes: everything that is chosen about one training besides its rows and its base model, as plain data.

Fields that TRL (`SFTConfig`) or PEFT (`LoraConfig`) have too bear the names that they have there. The recipes that come with the
package stand in recipes.toml; a TOML file of your own is read the same way:

    base = "exprag-lora"     # optional: start from another recipe
    r = 16
    [on.alfworld]            # optional: for rows of that environment
    num_train_epochs = 12
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field

from exprag.config import Settings, read_settings
from exprag.errors import ConfigError, closest
from exprag.models.cards import Card

DEFAULT = "exprag-lora"
_ADAMW = "adamw_torch_fused"


def _optimizer(name: Any) -> Any:
    return _ADAMW if name == "adamw" else name  # as version 0.1 called it


class Recipe(Settings):
    """The settings of one training. Learning rates are per optimizer step, lengths in tokens."""

    old_names: ClassVar[Mapping[str, str]] = {
        "rank": "r",
        "alpha": "lora_alpha",
        "dropout": "lora_dropout",
        "rank_stabilised": "use_rslora",
        "schedule": "lr_scheduler_type",
        "warmup": "warmup_steps",
        "optimizer": "optim",
        "epochs": "num_train_epochs",
        "device_batch_size": "per_device_train_batch_size",
        "label_smoothing": "label_smoothing_factor",
        "log_steps": "logging_steps",
    }

    name: str = ""
    """The recipe that this one came from."""
    r: int = Field(8, ge=1)
    """Rank of the LoRA matrices (arXiv 2106.09685)."""
    lora_alpha: int = Field(16, ge=1)
    """Scale of LoRA: what is learnt is multiplied by lora_alpha / r."""
    lora_dropout: float = Field(0.0, ge=0, lt=1)
    """Share of LoRA's inputs that are dropped in training."""
    use_rslora: bool = False
    """Rank-stabilised LoRA: scale by lora_alpha / √r instead (arXiv 2312.03732)."""
    target_modules: Literal["all-linear"] | tuple[str, ...] = ("q_proj", "k_proj", "v_proj", "o_proj")
    """Names of the linear layers that get LoRA, or "all-linear"; of the language model alone, whatever else the base holds."""
    last_layers: int | None = Field(None, ge=1)
    """LoRA on this many of the last decoder layers only: those below learn nothing, and their backward pass is saved."""
    qlora: bool = False
    """Hold the base in 4 bits (NF4, arXiv 2305.14314); needs a GPU and bitsandbytes."""
    optim: Annotated[
        Literal["adamw_torch", "adamw_torch_fused", "adamw_8bit", "paged_adamw_8bit"], BeforeValidator(_optimizer)
    ] = "adamw_torch_fused"
    """Optimizer; the 8-bit ones need a GPU and bitsandbytes, and are adamw_torch_fused elsewhere."""
    learning_rate: float = Field(5e-5, gt=0)
    """Learning rate at its highest."""
    lr_scheduler_type: Literal["constant", "constant_with_warmup", "linear", "cosine"] = "constant"
    """Course of the learning rate; "constant" too is warmed up where warmup_steps says so."""
    warmup_steps: float = Field(0.0, ge=0)
    """Optimizer steps over which the learning rate rises; below 1: a share of all steps."""
    weight_decay: float = Field(0.0, ge=0)
    """Weight decay of AdamW."""
    max_grad_norm: float = Field(1.0, ge=0)
    """Limit of the gradient's norm; 0: none."""
    label_smoothing_factor: float = Field(0.0, ge=0, lt=1)
    """Share of the target's probability that is spread over all tokens."""
    num_train_epochs: int = Field(9, ge=1)
    """Passes over the rows."""
    batch_size: int = Field(8, ge=1)
    """Rows (packs, with packing) of an optimizer step, over all processes."""
    per_device_train_batch_size: int = Field(1, ge=1)
    """Rows of a forward pass; the gradient is accumulated over the rest of the batch."""
    loss: Literal["assistant", "all"] = "assistant"
    """What is learnt: the tokens that the rows mark as trained, or all of them."""
    packing: bool = False
    """Several episodes in one sequence, none seeing another; not for bases whose layers carry a state (Mamba hybrids)."""
    pack_length: int | None = Field(None, ge=2)
    """Tokens of a pack; default: those of the longest row."""
    precision: Literal["auto", "bf16", "fp32"] = "auto"
    """Number format; auto: bf16 where the GPU has it."""
    gradient_checkpointing: bool | None = None
    """Compute activations again instead of keeping them; default: where there is a GPU."""
    torch_compile: bool = False
    """Compile the decoder layers (torch.compile), for rows of any length: a minute or two at the start, then quicker steps. On a
    CPU it needs a C++ compiler."""
    save_steps: int | None = Field(None, ge=1)
    """Keep a checkpoint every N steps too, to resume from; one is kept after every epoch."""
    save_total_limit: int | None = Field(None, ge=1)
    """Keep the last N checkpoints only; default: all, so that they can be chosen from."""
    logging_steps: int = Field(10, ge=1)
    """Write losses every N optimizer steps."""
    seed: int = 2025
    """Seed of the adapter's first weights, of the order of rows and of dropout."""


def load_recipe(name: str | Path = DEFAULT, environment: str = "", **overrides: Any) -> Recipe:
    """A recipe by name or TOML file, for rows of an environment, with single fields changed.

    Raises ConfigError for an unknown recipe or field, and for a value out of range.
    """
    fields = _fields(str(name), environment) | _current(overrides)
    try:
        return Recipe.make(**fields)
    except ConfigError as error:
        raise ConfigError(f"The recipe {fields['name']!r}: {error.message}", cure=error.cure) from error


def recipe_of(card: Card) -> Recipe:
    """The recipe that an adapter's card holds; cards of version 0.1 are read too."""
    return Recipe.make(**card.recipe)


def recipe_names() -> list[str]:
    """The recipes that come with the package."""
    return list(_built_in())


def _current(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The fields under the names that they have now, so that one layer of settings covers another."""
    return {Recipe.old_names.get(name, name): value for name, value in fields.items()}


def _fields(name: str, environment: str, above: tuple[str, ...] = ()) -> dict[str, Any]:
    """The fields of a recipe over those of its bases; `above` are the recipes that start from it."""
    if name in above:
        raise ConfigError(f"The recipe {name!r} starts from itself.")
    if name in _built_in():
        table = dict(_built_in()[name])
    elif name.endswith(".toml"):
        table = read_settings(name)
    else:
        raise ConfigError(f"There is no recipe {name!r}.", cure=f"{closest(name, recipe_names())} Or name a TOML file.")
    on_environment = table.pop("on", {}).get(environment, {})
    base = table.pop("base", None)
    base_fields = _fields(str(base), environment, (*above, name)) if base else {}
    return base_fields | {"name": Path(name).stem} | _current(table) | _current(on_environment)


@lru_cache
def _built_in() -> dict[str, dict[str, Any]]:
    return tomllib.loads(files("exprag.training.sft").joinpath("recipes.toml").read_text(encoding="utf-8"))
