"""What a training reads: rows with what they say about themselves, tokenised for a base, and rows held out to measure loss on."""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from exprag.errors import ConfigError
from exprag.models.chat_template import ChatTemplate
from exprag.training.rows.config import DataConfig
from exprag.training.sft import checks
from exprag.training.sft.recipes import Recipe

if TYPE_CHECKING:
    from datasets import Dataset

    from exprag.training.rows.description import Description

TOKENS = ["input_ids", "labels"]


@dataclass(frozen=True)
class Source:
    """The rows of a training, and where they come from."""

    rows: Dataset
    """The rows, with whatever columns they have."""
    path: str = ""
    """Where they were read from; "" for rows that were handed over."""
    about: Description | None = None
    """What the dataset says about itself; None for rows that were handed over."""

    @property
    def environment(self) -> str:
        """The environment of all rows; "" where they are of several, or do not say."""
        return str(origin(self.about)["environment"]) if self.about else ""

    def template(self, tokenizer: Any) -> ChatTemplate:
        """The chat template as the rows use it, or are to. Raises ConfigError where it cannot carry an agent's prompt."""
        config = self.about.config if self.about else DataConfig()
        return ChatTemplate(tokenizer, config.system, config.chat_template_kwargs)

    def tokenised(self, tokenizer: Any, config: Any, recipe: Recipe, what: str) -> Dataset:
        """`input_ids` and `labels` alone, checked against the base."""
        rows = self.rows
        if self.about is not None and self.about.tokenizer is not None:
            from exprag.training.rows.tokens import check_tokenizer

            check_tokenizer(self.about, tokenizer)
        if "input_ids" not in rows.column_names:
            if "messages" not in rows.column_names:
                raise ConfigError(
                    f"The {what} rows have columns {', '.join(rows.column_names)}.",
                    cure="Rows have `messages` and `train`, or `input_ids` and `labels`: see `exprag data`.",
                )
            from exprag.training.rows.dataset import tokenize_rows

            template = self.template(tokenizer)
            rows, _ = tokenize_rows(rows, tokenizer, system=template.system, chat_template_kwargs=template.kwargs)
        elif "labels" not in rows.column_names:
            raise ConfigError(f"The {what} rows have `input_ids` without `labels`.", cure="Build them with exprag data.")
        from datasets import Dataset

        # In memory: what is mapped later leaves no cache in the dataset's folder.
        rows = Dataset(rows.select_columns(TOKENS).with_format("arrow")[:])
        if recipe.loss == "all":
            rows = rows.remove_columns("labels").add_column("labels", rows.data.column("input_ids"))
        checks.check_rows(rows, config, what=what)
        return rows


def open_source(dataset: str | Path | Dataset) -> Source:
    """Rows of a folder or file that `exprag data` wrote, or rows as they are."""
    if not isinstance(dataset, str | Path):
        return Source(dataset)
    from exprag.training.rows.dataset import load_dataset
    from exprag.training.rows.description import describe_dataset

    return Source(load_dataset(dataset), str(dataset), describe_dataset(dataset))


def origin(about: Description) -> dict[str, Any]:
    """The environment of all rows ("" where they are of several), and the bank with its version."""
    names = list(about.environments)
    bank = about.bank
    return {
        "environment": names[0] if len(names) == 1 else "",
        "bank": bank.uri if bank else None,
        "bank_version": bank.version if bank else None,
    }


def open_validation(source: Source, validation: Any, seed: int) -> tuple[Source, dict[str, Source]]:
    """The rows to train on, and the rows held out, by name ("" for a single set)."""
    if validation is None:
        return source, {}
    if isinstance(validation, float | int):
        training_rows, validation_rows = hold_out(source.rows, float(validation), seed)
        return Source(training_rows, source.path, source.about), {"": Source(validation_rows, source.path, source.about)}
    sets = validation if isinstance(validation, Mapping) else {"": validation}
    return source, {name: open_source(rows) for name, rows in sets.items()}


def hold_out(rows: Dataset, share: float, seed: int) -> tuple[Dataset, Dataset]:
    """Split by task (or group of alike tasks), so that none is on both sides: the rows to train on, and those of `share` of the
    tasks, at least one."""
    if not 0 < share < 1:
        raise ConfigError(f"A share of {share:g} cannot be held out.", cure="Give a number between 0 and 1, or rows.")
    if "task" in rows.column_names:
        tasks = [_task_or_group(record) for record in rows["task"]]
    else:
        tasks = [str(i) for i in range(len(rows))]
    names = sorted(set(tasks))
    random.Random(seed).shuffle(names)
    number = max(1, round(share * len(names)))
    if number >= len(names):
        raise ConfigError(f"{share:g} of {len(names)} tasks leaves none to train on.", cure="Give more rows, or another share.")
    held_out = set(names[:number])
    sides = [[i for i, task in enumerate(tasks) if (task in held_out) is side] for side in (False, True)]
    return rows.select(sides[0]), rows.select(sides[1])


def content_hash(rows: Dataset) -> str:
    """sha256 over the tokens and labels, row by row."""
    digest = hashlib.sha256()
    for name in TOKENS:
        digest.update(checks.flat(rows, name).astype("<i8").tobytes())
    digest.update(checks.row_lengths(rows).astype("<i8").tobytes())
    return digest.hexdigest()


def _task_or_group(record: str) -> str:
    task = json.loads(record)
    return f"{task['environment']}/{task.get('group') or task['id']}"
