"""Recipes: everything that is chosen about one training besides its rows and its base model, as plain data.

The recipes that come with the package stand in recipes.toml; a TOML file of one's own is read the same way:

    base = "exprag-lora"     # optional: start from another recipe
    rank = 16
    [on.alfworld]            # optional: for rows of that environment
    epochs = 12
"""

from __future__ import annotations

import tomllib
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from exprag.errors import ConfigError, closest
from exprag.models.cards import Card

DEFAULT = "exprag-lora"


class Recipe(BaseModel):
    """One recipe. Learning rates are per optimizer step, lengths in tokens.

    name                          the recipe that this one came from
    rank, alpha, dropout          LoRA (arXiv 2106.09685); `rank_stabilised` scales by alpha/√rank (arXiv 2312.03732)
    target_modules                names of linear layers, or "all-linear"
    qlora                         the base in 4 bits (NF4, arXiv 2305.14314); needs a GPU and bitsandbytes
    optimizer                     the 8-bit ones need a GPU and bitsandbytes, and are plain AdamW elsewhere
    schedule, warmup              of the learning rate; `warmup` is a share of all steps
    epochs, batch_size            `batch_size` rows (packs, with `packing`) make an optimizer step, over all processes
    device_batch_size             rows in one forward pass; the gradient is accumulated over the rest of the batch
    loss                          "assistant": the tokens that the rows mark as trained; "all": every token
    packing, pack_length          several episodes in one sequence, none seeing another; default length: that of the longest row
    precision                     "auto": bf16 where the GPU has it
    gradient_checkpointing        None: where there is a GPU
    save_steps                    also keep a checkpoint every so many steps, to resume from; one is kept after every epoch
    save_total_limit              keep the last so many checkpoints only; None: all, so that they can be chosen from
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = ""
    rank: int = Field(8, ge=1)
    alpha: int = Field(16, ge=1)
    dropout: float = Field(0.0, ge=0, lt=1)
    rank_stabilised: bool = False
    target_modules: Literal["all-linear"] | tuple[str, ...] = ("q_proj", "k_proj", "v_proj", "o_proj")
    qlora: bool = False
    optimizer: Literal["adamw", "adamw_8bit", "paged_adamw_8bit"] = "adamw"
    learning_rate: float = Field(5e-5, gt=0)
    schedule: Literal["constant", "linear", "cosine"] = "constant"
    warmup: float = Field(0.0, ge=0, lt=1)
    weight_decay: float = Field(0.0, ge=0)
    max_grad_norm: float = Field(1.0, ge=0)
    label_smoothing: float = Field(0.0, ge=0, lt=1)
    epochs: int = Field(9, ge=1)
    batch_size: int = Field(8, ge=1)
    device_batch_size: int = Field(1, ge=1)
    loss: Literal["assistant", "all"] = "assistant"
    packing: bool = False
    pack_length: int | None = Field(None, ge=2)
    precision: Literal["auto", "bf16", "fp32"] = "auto"
    gradient_checkpointing: bool | None = None
    save_steps: int | None = Field(None, ge=1)
    save_total_limit: int | None = Field(None, ge=1)
    log_steps: int = Field(10, ge=1)
    seed: int = 2025


def load_recipe(name: str | Path = DEFAULT, environment: str = "", **overrides: Any) -> Recipe:
    """A recipe by name or TOML file, for rows of an environment, with single fields changed.

    Raises ConfigError for an unknown recipe or field, and for a value out of range.
    """
    return _validated(_fields(str(name), environment) | overrides)


def change_recipe(recipe: Recipe, **overrides: Any) -> Recipe:
    """The recipe with single fields changed."""
    return _validated(recipe.model_dump() | overrides)


def recipe_of(card: Card) -> Recipe:
    """The recipe that an adapter's card holds."""
    return _validated(dict(card.recipe))


def recipe_names() -> list[str]:
    """The recipes that come with the package."""
    return list(_built_in())


def _validated(fields: dict[str, Any]) -> Recipe:
    try:
        return Recipe.model_validate(fields)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = str(first["loc"][0])
        cure = "" if where in Recipe.model_fields else closest(where, list(Recipe.model_fields))
        raise ConfigError(f"The recipe {fields.get('name', '')!r}: {where}: {first['msg']}.", cure=cure) from error


def _fields(name: str, environment: str, seen: tuple[str, ...] = ()) -> dict[str, Any]:
    if name in seen:
        raise ConfigError(f"The recipe {name!r} starts from itself.")
    if name in _built_in():
        told = dict(_built_in()[name])
    elif name.endswith(".toml"):
        told = read_toml(Path(name))
    else:
        known = list(_built_in())
        raise ConfigError(f"There is no recipe {name!r}.", cure=f"{closest(name, known)} Or name a TOML file.")
    here = told.pop("on", {}).get(environment, {})
    base = told.pop("base", None)
    under = _fields(str(base), environment, (*seen, name)) if base else {}
    return under | {"name": name.removesuffix(".toml").rpartition("/")[2]} | told | here


def read_toml(path: Path) -> dict[str, Any]:
    """Raises ConfigError where it cannot be read."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"Cannot read {path}: {error.strerror}.") from error
    except ValueError as error:
        raise ConfigError(f"{path} is not valid TOML: {error}.") from error


@lru_cache
def _built_in() -> dict[str, dict[str, Any]]:
    return tomllib.loads(files("exprag.training.sft").joinpath("recipes.toml").read_text(encoding="utf-8"))
