"""Reading rows from disk: a Hugging Face dataset folder, one Parquet file or one JSONL file, each with its description.

    rows/            a folder that `datasets.load_from_disk` reads; rows/dataset.json beside its own files
    rows.parquet     any Parquet reader; rows.parquet.dataset.json beside it
    rows.jsonl       one row a line; rows.jsonl.dataset.json beside it

The suffix says which. Columns: see `exprag.training.rows.row`; `input_ids` and `labels` are there if a tokenizer was given. TRL's
SFTTrainer takes such a dataset as it is: it neither tokenises nor masks again, as long as `max_length` does not cut it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from exprag.errors import ConfigError, PluginError, RunError, boundary
from exprag.models.tokens import tokenizer_hash
from exprag.training.rows.description import describe_dataset
from exprag.training.rows.report import Report
from exprag.training.rows.tokens import ChatTokens

if TYPE_CHECKING:
    from datasets import Dataset

_BATCH = 256


def load_dataset(path: str | Path) -> Dataset:
    """The rows as a `datasets.Dataset`. Needs the extra `train`; raises RunError where the files are damaged."""
    place = Path(path).expanduser()
    describe_dataset(place)
    datasets = import_datasets()
    rows: Dataset
    with boundary(RunError, f"The dataset {path} cannot be read"), without_bars(datasets):
        if not place.suffix:
            rows = datasets.load_from_disk(str(place))
            return rows
        read = datasets.Dataset.from_parquet if place.suffix == ".parquet" else datasets.Dataset.from_json
        with TemporaryDirectory() as cache:
            rows = read(str(place), cache_dir=cache, keep_in_memory=True)
    return rows


def read_rows(path: str | Path) -> Iterator[dict[str, Any]]:
    """The rows one by one. A folder needs the extra `train`; Parquet and JSONL need none. Raises RunError for damaged files."""
    place = Path(path).expanduser()
    describe_dataset(place)
    if place.suffix == ".jsonl":
        yield from _read_jsonl(place)
    elif place.suffix == ".parquet":
        yield from _read_parquet(place)
    else:
        yield from load_dataset(place)


def _read_jsonl(path: Path) -> Iterator[dict[str, Any]]:
    with open(path, "rb") as lines:
        for number, line in enumerate(lines, 1):
            with boundary(RunError, f"{path}, line {number}, is damaged"):
                row = json.loads(line)
            yield row


def _read_parquet(path: Path) -> Iterator[dict[str, Any]]:
    import pyarrow.parquet as pq

    what = f"The dataset {path} cannot be read"
    with boundary(RunError, what):
        file = pq.ParquetFile(path)
    with file:
        for group in range(file.num_row_groups):
            batches = file.iter_batches(_BATCH, row_groups=[group])
            while True:
                with boundary(RunError, what):
                    batch = next(batches, None)
                if batch is None:
                    break
                yield from batch.to_pylist()


def tokenize_rows(
    dataset: Dataset,
    tokenizer: Any,
    max_tokens: int | None = None,
    system: str = "auto",
    chat_template_kwargs: Mapping[str, Any] | None = None,
) -> tuple[Dataset, Report]:
    """The dataset with `input_ids` and `labels` of this tokenizer; longer rows are dropped whole, and counted.

    `system` and `chat_template_kwargs` are those of `DataConfig`. Raises ConfigError where the chats cannot be trained with the
    tokenizer, and where no row is left.
    """
    chat, report = ChatTokens(tokenizer, system, chat_template_kwargs), Report()
    limit = min((n for n in (max_tokens, chat.limit) if n is not None), default=None)
    fitting = []

    def encode(row: dict[str, Any], number: int) -> dict[str, list[int]]:
        tokens = chat.encode(row["messages"], row["train"])
        if limit is not None and len(tokens.input_ids) > limit:
            report.dropped[f"longer than {limit} tokens"] += 1
        else:
            fitting.append(number)
            report.rows += 1
            report.turns += sum(row["train"])
            report.memory[row["memory"]] += 1
            report.count_tokens(tokens)
        return {"input_ids": tokens.input_ids, "labels": tokens.labels}

    datasets = import_datasets()
    numbers = datasets.List(datasets.Value("int32"))
    bare = dataset.remove_columns([name for name in ("input_ids", "labels") if name in dataset.column_names])
    rows = bare.map(
        encode,
        with_indices=True,
        features=datasets.Features({**bare.features, "input_ids": numbers, "labels": numbers}),
        keep_in_memory=True,
        load_from_cache_file=False,
        new_fingerprint=f"{bare._fingerprint}-{tokenizer_hash(tokenizer)}"[-64:],
        desc="Tokenizing",
    )
    if not fitting:
        raise ConfigError(f"No rows: {report.why_none()}.", cure="Raise max_tokens, or build with it: memory is then shortened.")
    return rows if len(fitting) == len(rows) else rows.select(fitting), report


@contextmanager
def without_bars(datasets: Any) -> Iterator[None]:
    """Without the progress bars of the package for what takes a second."""
    enabled = not datasets.are_progress_bars_disabled()
    datasets.disable_progress_bars()
    try:
        yield
    finally:
        if enabled:
            datasets.enable_progress_bars()


def import_datasets() -> Any:
    """The package `datasets`. Raises PluginError naming the extra without it."""
    try:
        import datasets
    except ImportError as error:
        raise PluginError(
            f"A dataset folder needs a package that is not installed ({error}).",
            cure="pip install 'exprag[train]', or name a file *.parquet or *.jsonl.",
        ) from error
    return datasets
