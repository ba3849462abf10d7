"""Writing rows to disk: a dataset appears whole or not at all, and what a killed call left is cleared away by the next.

Everything is built in the folder `.NAME.partial` beside the target, which one process at a time may use, and renamed at the end.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock, Timeout

from exprag.errors import ConfigError, RunError, boundary
from exprag.files import PARTIAL, cannot_write, write_whole
from exprag.text import utf8
from exprag.training.rows.dataset import import_datasets, without_bars
from exprag.training.rows.description import Description, describe_dataset, describe_rows, description_path

if TYPE_CHECKING:
    from exprag.training.rows.build import Rows

_BATCH = 256
_LOCK = "lock"


def write_dataset(path: str | Path, rows: Rows) -> Description:
    """Build the rows and write them; the suffix of the path chooses the format. Returns what dataset.json says.

    Raises ConfigError where something lies there already, PluginError where the format needs an extra, RunError where the disk
    is full or another process writes the same dataset, and what building raises; then nothing is left behind.
    """
    target = Path(path).expanduser()
    write = {".jsonl": _write_jsonl, ".parquet": _write_parquet, "": _write_folder}.get(target.suffix)
    if write is None:
        raise ConfigError(f"{target}: there is no such format of a dataset.", cure="Name a folder, *.parquet or *.jsonl.")
    _check_free(target)
    try:
        with _work_folder(target) as folder:
            _check_free(target)
            partial = folder / target.name
            write(partial, (_plain(row.to_dict()) for row in rows), rows.tokens is not None)
            description = describe_rows(rows)
            write_whole(description_path(partial), description.model_dump_json(indent=2) + "\n")
            if partial.is_file():
                description_path(partial).replace(description_path(target))
            partial.replace(target)
    except OSError as error:
        raise cannot_write(target, error) from error
    return description


def _check_free(target: Path) -> None:
    """Raises ConfigError where something lies at the target. A description without its rows is what a killed call left."""
    description = description_path(target)
    if target.exists():
        raise ConfigError(f"{target} exists already.", cure="Choose another path, or remove it.")
    if description.exists():
        try:
            describe_dataset(target)
        except ConfigError as error:
            raise ConfigError(f"{description} exists already.", cure="Choose another path, or remove it.") from error


@contextmanager
def _work_folder(target: Path) -> Iterator[Path]:
    """An empty folder beside the target for this process alone; gone afterwards."""
    folder = target.with_name(f".{target.name}{PARTIAL}")
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(folder / _LOCK, timeout=0):
            for entry in folder.iterdir():
                if entry.name != _LOCK:
                    shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
            try:
                yield folder
            finally:
                shutil.rmtree(folder, ignore_errors=True)
    except Timeout as error:
        raise RunError(f"Another process writes {target}.", cure="Wait until it ends, or choose another path.") from error


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    """Without what UTF-8 cannot write, which no tokenizer takes either; without ids where there are none."""
    row["messages"] = [{name: utf8(text) for name, text in message.items()} for message in row["messages"]]
    row["recalled"] = [{**item, "id": utf8(item["id"]), "reason": utf8(item["reason"])} for item in row["recalled"]]
    if row["input_ids"] is None:
        del row["input_ids"], row["labels"]
    return row


def _write_jsonl(path: Path, rows: Iterable[dict[str, Any]], tokenized: bool) -> None:
    with open(path, "w", encoding="utf-8") as out:
        for row in rows:
            out.write(json.dumps(row, ensure_ascii=False, separators=(",", ":")) + "\n")


def _write_parquet(path: Path, rows: Iterable[dict[str, Any]], tokenized: bool) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    text, number, flags = pa.string(), pa.int32(), pa.list_(pa.bool_())
    recalled = pa.list_(pa.struct([("id", text), ("score", pa.float64()), ("reason", text)]))
    columns: list[tuple[str, Any]] = [("id", text), ("trajectory", text), ("task", text), ("success", pa.bool_())]
    columns += [("first", number), ("last", number), ("memory", text), ("k", number), ("recalled", recalled)]
    columns += [("bank_version", pa.int64()), ("messages", pa.list_(pa.struct([("role", text), ("content", text)])))]
    columns += [("train", flags), *([("input_ids", pa.list_(number)), ("labels", pa.list_(number))] if tokenized else [])]
    schema = pa.schema(columns)
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        batch: list[dict[str, Any]] = []
        for row in rows:
            batch.append(row)
            if len(batch) == _BATCH:
                writer.write_batch(pa.RecordBatch.from_pylist(batch, schema=schema))
                batch.clear()
        if batch:
            writer.write_batch(pa.RecordBatch.from_pylist(batch, schema=schema))


def _write_folder(path: Path, rows: Iterable[dict[str, Any]], tokenized: bool) -> None:
    datasets = import_datasets()
    table = path.with_name("rows.parquet")  # by way of a file, so that a dataset of any size fits into memory
    _write_parquet(table, rows, tokenized)
    with without_bars(datasets), boundary(RunError, f"The dataset {path.name} cannot be written", cure="Is the disk full?"):
        datasets.Dataset.from_parquet(str(table), cache_dir=str(path.with_name("cache"))).save_to_disk(str(path))
