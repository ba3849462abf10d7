"""The folder of a training: whose it is, whether it can be continued, and one process in it at a time."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from exprag.errors import ConfigError, RunError
from exprag.files import PARTIAL, cannot_write, write_json
from exprag.models.cards import Card
from exprag.training.sft.checkpoints import half_checkpoints, whole_checkpoints
from exprag.training.sft.recipes import Recipe

TRAINING = "training.json"
LOCK = ".training.lock"
HARMLESS = ("gradient_checkpointing", "logging_steps", "save_steps", "save_total_limit")  # recipe fields that change no weight
LEFTOVERS = {TRAINING + PARTIAL, LOCK}  # what a process killed at its start leaves: such a folder is still empty


@contextmanager
def prepared(out: Path, card: Card, rows: str) -> Iterator[None]:
    """Make OUT, or clear it for being continued, and keep other processes out while this one is inside.

    `rows` is the hash of the rows. Raises RunError where OUT holds another training or something else, where another process
    trains there, and where it cannot be written to.
    """
    if out.is_file():
        raise RunError(f"{out} is a file.", cure="Name a folder with --out.")
    training = {"rows": rows, **card.model_dump(mode="json", include={"base", "recipe", "dataset", "environment"})}
    check_same(out, training)
    try:
        out.mkdir(parents=True, exist_ok=True)
        with FileLock(out / LOCK, timeout=0):
            check_same(out, training)
            for half in half_checkpoints(out):
                shutil.rmtree(half)
            write_json(out / TRAINING, training)
            yield
    except Timeout as error:
        raise RunError(f"Another process trains in {out}.", cure="Wait until it ends, or choose another --out.") from error
    except OSError as error:
        raise cannot_write(out, error) from error


def check_same(out: Path, training: dict[str, Any]) -> None:
    """Raises RunError where OUT holds another training, or something that is not a training."""
    path = out / TRAINING
    if path.is_file():
        if whole_checkpoints(out) and (differences := _differences(_read(path), training)):
            raise RunError(
                f"{out} holds another training: {', '.join(differences)}.", cure="Choose another --out, or the same settings."
            )
    elif out.is_dir() and any(entry.name not in LEFTOVERS for entry in out.iterdir()):
        raise RunError(f"{out} is not empty and holds no training.", cure="Choose another --out.")


def _read(path: Path) -> dict[str, Any]:
    """What training.json says, in today's names: version 0.1 called the recipe a profile."""
    try:
        training = json.loads(path.read_text(encoding="utf-8"))
        recipe = training.pop("profile", None) or training["recipe"]
        return {**training, "recipe": Recipe.make(**recipe).model_dump(mode="json")}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, ConfigError) as error:
        raise RunError(f"{path} is damaged.", cure="Choose another --out.") from error


def _differences(earlier: dict[str, Any], now: dict[str, Any]) -> list[str]:
    """What differs between two trainings. More epochs of a constant learning rate are the same training, continued."""
    then, recipe = earlier["recipe"], now["recipe"]
    free = {"name", *HARMLESS}
    constant = recipe["lr_scheduler_type"].startswith("constant") and not recipe["warmup_steps"]
    if constant and recipe["num_train_epochs"] > then["num_train_epochs"]:
        free.add("num_train_epochs")
    fields = [field for field in recipe if field not in free and recipe[field] != then.get(field)]
    differences = [f"{field} ({then.get(field)!r} there, {recipe[field]!r} now)" for field in fields]
    if earlier["rows"] != now["rows"]:
        differences.append("other rows")
    if any(earlier["base"][part] != now["base"][part] for part in ("config", "tokenizer")):
        differences.append(f"another base ({earlier['base']['name']} there, {now['base']['name']} now)")
    return differences
