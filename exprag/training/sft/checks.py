"""What can be known before hours are spent: extras, device, tokenizer, rows, disk. Each check raises, or is silent. For checks of
the base see `exprag.training.sft.base`."""

from __future__ import annotations

import os
import shlex
import shutil
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from exprag.errors import ConfigError, ModelError, RunError
from exprag.training.sft.recipes import Recipe

if TYPE_CHECKING:
    from datasets import Dataset

EXTRA = ("torch", "transformers", "datasets", "accelerate", "peft", "trl")
UNTRAINED = -100  # the label of a token without loss, everywhere in the Hugging Face stack


def check_extra() -> None:
    """The packages of the `train` extra are installed."""
    missing = [module for module in EXTRA if find_spec(module) is None]
    if missing:
        raise ConfigError(f"Training needs {', '.join(missing)}.", cure="pip install 'exprag[train]'")


def check_device(recipe: Recipe) -> None:
    """A 4-bit base has the GPU and the package that it needs, torch.compile its compiler."""
    import torch

    compilers = shlex.split(os.environ.get("CXX", ""))[:1] or ["g++", "clang++", "c++", "cl"]
    if recipe.torch_compile and not torch.cuda.is_available() and not any(shutil.which(name) for name in compilers):
        raise ConfigError(
            f"torch_compile needs a C++ compiler on a CPU, and there is none here: {', '.join(compilers)}.",
            cure="Install one (apt-get install g++), or set torch_compile = false.",
        )
    if not recipe.qlora:
        return
    if not torch.cuda.is_available():
        raise ConfigError("QLoRA holds the base in 4 bits, which needs a GPU, and there is none here.", cure="Set qlora = false.")
    if find_spec("bitsandbytes") is None:
        raise ConfigError("QLoRA needs bitsandbytes.", cure="pip install bitsandbytes, or set qlora = false.")


def check_tokenizer(tokenizer: Any, base: str) -> None:
    """The base can be served as a chat model, and rows can be padded. A missing pad token becomes the end token."""
    if not tokenizer.chat_template:
        raise ModelError(
            f"The tokenizer of {base!r} has no chat template, so that nothing trained on it could be served as a chat model.",
            cure="Use an instruction-tuned (chat) model, or set tokenizer.chat_template and save the tokenizer again.",
        )
    if tokenizer.pad_token_id is None:
        if tokenizer.eos_token_id is None:
            raise ModelError(
                f"The tokenizer of {base!r} has neither a pad token nor an end token.",
                cure="Set tokenizer.pad_token and save the tokenizer again.",
            )
        tokenizer.pad_token = tokenizer.eos_token  # padding is masked in attention and loss alike, so any token serves


def check_rows(rows: Dataset, config: Any, *, what: str = "training") -> None:
    """Rows with `input_ids` and `labels` fit the base: length, vocabulary, and something to learn in each.

    Raises ConfigError naming the first few rows that do not.
    """
    if not len(rows):
        raise ConfigError(f"There are no {what} rows.", cure="See what `exprag data` reports about rows that were dropped.")
    lengths, trained = row_lengths(rows), trained_tokens(rows)
    text = config.get_text_config()
    limit, vocabulary = getattr(text, "max_position_embeddings", None), text.vocab_size
    if limit and lengths.max() > limit:
        long = (lengths > limit).nonzero()[0]
        raise ConfigError(
            f"{len(long)} of {len(rows)} {what} rows are longer than the context of the base ({limit} tokens): "
            f"rows {_some(long)}, the longest {lengths.max()} tokens.",
            cure=f"Build the rows again with max_tokens={limit}: memory is shortened and whole rows are dropped, never labels.",
        )
    highest = flat(rows, "input_ids").max()
    if highest >= vocabulary:
        raise ConfigError(
            f"The {what} rows hold token {highest}, and the base has {vocabulary} tokens: they were made with another tokenizer.",
            cure="Build the rows with the tokenizer of this base.",
        )
    if not trained.any():
        raise ConfigError(f"No token of the {what} rows is trained.", cure="Look at a row: exprag data show.")
    if not trained.all():
        empty = (trained == 0).nonzero()[0]
        raise ConfigError(
            f"{len(empty)} of {len(rows)} {what} rows have no trained token: rows {_some(empty)}.",
            cure="Look at one (exprag data show), and build the rows again without them.",
        )


def check_disk(out: Path, trainable: int, checkpoints: int) -> None:
    """There is room for the checkpoints: weights and two moments of AdamW for each trainable parameter, 4 bytes each."""
    size, free = trainable * 12 * checkpoints, shutil.disk_usage(out).free
    if size > free:
        raise RunError(
            f"{checkpoints} checkpoints take some {size / 1e9:.1f} GB, and {out} has {free / 1e9:.1f} GB free.",
            cure="Free space, choose another --out, or keep only the last few: save_total_limit.",
        )


def row_lengths(rows: Dataset) -> Any:
    """Tokens of each row, as a numpy array."""
    import pyarrow.compute as pc

    return pc.list_value_length(_column(rows, "input_ids")).to_numpy()


def trained_tokens(rows: Dataset) -> Any:
    """Tokens with loss of each row, as a numpy array."""
    import numpy as np

    lengths = row_lengths(rows)
    ends = np.cumsum(lengths)
    totals = np.concatenate([[0], np.cumsum(flat(rows, "labels") != UNTRAINED)])
    return totals[ends] - totals[ends - lengths]


def flat(rows: Dataset, name: str) -> Any:
    import pyarrow.compute as pc

    return pc.list_flatten(_column(rows, name)).to_numpy()


def _column(rows: Dataset, name: str) -> Any:
    return rows.with_format("arrow")[:][name]


def _some(numbers: Any) -> str:
    return ", ".join(str(number) for number in numbers[:5]) + (" …" if len(numbers) > 5 else "")
