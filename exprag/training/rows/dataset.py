"""Rows on disk: a Hugging Face dataset folder, one Parquet file or one JSONL file, with a description of how they were made.

    rows/            a folder that `datasets.load_from_disk` reads; rows/dataset.json beside its own files
    rows.parquet     any Parquet reader; rows.parquet.dataset.json beside it
    rows.jsonl       one row a line; rows.jsonl.dataset.json beside it

The suffix says which. A dataset appears whole or not at all. Columns: see `exprag.training.rows.row`; `input_ids` and
`labels` are there if a tokenizer was given. TRL's SFTTrainer takes such a dataset as it is: it neither tokenises nor masks
again, as long as `max_length` does not cut it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError

from exprag.errors import ConfigError, PluginError, RunError
from exprag.models.tokens import tokenizer_hash
from exprag.text import utf8
from exprag.training.rows.config import DataConfig
from exprag.training.rows.report import Report
from exprag.training.rows.tokens import ChatTokens, name_of
from exprag.trajectory import now

if TYPE_CHECKING:
    from datasets import Dataset

    from exprag.training.rows.build import Rows

PACKAGES = ("exprag", "lancedb", "pydantic", "transformers", "tokenizers", "datasets")
_BATCH = 256


class Source(BaseModel):
    """The bank that was asked."""

    uri: str
    version: int


class TokenizerRecord(BaseModel):
    """The tokenizer that made the ids: known again by its hash."""

    name: str
    hash: str
    end_of_turn: str = ""
    marked: bool = False


class Description(BaseModel):
    """What dataset.json says: everything that the rows hang on, and what became of the trajectories."""

    model_config = ConfigDict(frozen=True)

    format: int = 1
    created: str = ""
    config: DataConfig
    bank: Source | None = None
    tokenizer: TokenizerRecord | None = None
    environments: dict[str, str] = Field(default_factory=dict)
    packages: dict[str, str] = Field(default_factory=dict)
    report: dict[str, JsonValue] = Field(default_factory=dict)

    @property
    def longest(self) -> int:
        """Tokens of the longest row; 0 where the dataset is not tokenised."""
        return int(self.report.get("longest", 0))  # type: ignore[arg-type]


def write_dataset(path: str | Path, rows: Rows) -> Description:
    """Build the rows and write them; the suffix of the path chooses the format. Returns what dataset.json says.

    Raises ConfigError where something lies there already, PluginError where the format needs an extra, RunError where the disk
    is full, and what building raises; then nothing is left behind.
    """
    target = Path(path)
    for there in (target, description_path(target)):
        if there.exists():
            raise ConfigError(f"{there} exists already.", cure="Choose another path, or remove it.")
    write = {".jsonl": _write_jsonl, ".parquet": _write_parquet, "": _write_folder}.get(target.suffix)
    if write is None:
        raise ConfigError(f"{target}: no such format of a dataset.", cure="Name a folder, *.parquet or *.jsonl.")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(prefix=f".{target.name}.", dir=target.parent) as place:
            made = Path(place) / target.name
            write(made, (_plain(row.to_dict()) for row in rows), rows.tokens is not None)
            told = _describe(rows)
            description_path(made).write_text(told.model_dump_json(indent=2) + "\n", encoding="utf-8")
            if made.is_file():
                description_path(made).replace(description_path(target))
            made.replace(target)
    except OSError as error:
        if not target.exists():
            description_path(target).unlink(missing_ok=True)
        raise RunError(f"The dataset {target} cannot be written: {error.strerror or error}.") from error
    return told


def describe_dataset(path: str | Path) -> Description:
    """Raises ConfigError where there is no dataset, or a damaged one."""
    file = description_path(Path(path))
    try:
        return Description.model_validate_json(file.read_bytes())
    except OSError as error:
        raise ConfigError(f"{path} is no dataset of exprag: {file} is missing.", cure="Make one: exprag data build") from error
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise ConfigError(f"{file} does not validate: {where}: {first['msg']}.") from error


def description_path(path: Path) -> Path:
    return path.with_name(f"{path.name}.dataset.json") if path.suffix else path / "dataset.json"


def load_dataset(path: str | Path) -> Dataset:
    """The rows as a `datasets.Dataset`. Needs the extra `train`."""
    describe_dataset(path)
    datasets, place = _datasets(), Path(path)
    if not place.suffix:
        found: Dataset = datasets.load_from_disk(str(place))
        return found
    read = datasets.Dataset.from_parquet if place.suffix == ".parquet" else datasets.Dataset.from_json
    with TemporaryDirectory() as cache, _quiet(datasets):
        loaded: Dataset = read(str(place), cache_dir=cache, keep_in_memory=True)
    return loaded


def read_rows(path: str | Path) -> Iterator[dict[str, Any]]:
    """The rows one by one. A folder needs the extra `train`; Parquet and JSONL need none."""
    describe_dataset(path)
    place = Path(path)
    if place.suffix == ".jsonl":
        with open(place, encoding="utf-8") as lines:
            yield from map(json.loads, lines)
    elif place.suffix == ".parquet":
        import pyarrow.parquet as pq

        with pq.ParquetFile(place) as file:
            for batch in file.iter_batches(_BATCH):
                yield from batch.to_pylist()
    else:
        yield from load_dataset(place)


def tokenize_rows(dataset: Dataset, tokenizer: Any, max_tokens: int | None = None) -> tuple[Dataset, Report]:
    """The dataset with `input_ids` and `labels` of this tokenizer; longer rows are dropped whole, and counted.

    Raises ConfigError where the chats cannot be trained with the tokenizer, and where no row is left.
    """
    chat, report = ChatTokens(tokenizer), Report()
    limit = min((n for n in (max_tokens, chat.limit) if n is not None), default=None)
    kept = []

    def encode(row: dict[str, Any], number: int) -> dict[str, list[int]]:
        tokens = chat.encode(row["messages"], row["train"])
        if limit is not None and len(tokens.input_ids) > limit:
            report.dropped[f"longer than {limit} tokens"] += 1
        else:
            kept.append(number)
            report.rows += 1
            report.turns += sum(row["train"])
            report.memory[row["memory"]] += 1
            report.count_tokens(tokens)
        return {"input_ids": tokens.input_ids, "labels": tokens.labels}

    datasets = _datasets()
    numbers = datasets.List(datasets.Value("int32"))
    bare = dataset.remove_columns([name for name in ("input_ids", "labels") if name in dataset.column_names])
    done = bare.map(
        encode,
        with_indices=True,
        features=datasets.Features({**bare.features, "input_ids": numbers, "labels": numbers}),
        keep_in_memory=True,
        load_from_cache_file=False,
        new_fingerprint=f"{bare._fingerprint}-{tokenizer_hash(tokenizer)}"[-64:],
        desc="Tokenizing",
    )
    if not kept:
        raise ConfigError(f"No rows: {report.why_none()}.", cure="Raise max_tokens, or build with it: memory is then shortened.")
    return done if len(kept) == len(done) else done.select(kept), report


def _describe(rows: Rows) -> Description:
    tokens = rows.tokens
    record = None
    if tokens is not None:
        name, digest = name_of(tokens.tokenizer), tokenizer_hash(tokens.tokenizer)
        record = TokenizerRecord(name=name, hash=digest, end_of_turn=tokens.end_of_turn, marked=tokens.marked)
    packages = {}
    for name in PACKAGES:
        try:
            packages[name] = version(name)
        except PackageNotFoundError:
            continue
    return Description(
        created=now(),
        config=rows.config,
        bank=Source(uri=rows.bank.uri, version=rows.bank_version or 0) if rows.bank is not None else None,
        tokenizer=record,
        environments=rows.environments,
        packages=packages,
        report=rows.report.to_dict(),
    )


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
    datasets = _datasets()
    table = path.with_name("rows.parquet")  # by way of a file, so that a dataset of any size fits into memory
    _write_parquet(table, rows, tokenized)
    with _quiet(datasets):
        datasets.Dataset.from_parquet(str(table), cache_dir=str(path.with_name("cache"))).save_to_disk(str(path))


@contextmanager
def _quiet(datasets: Any) -> Iterator[None]:
    """Without progress bars for what takes a second."""
    shown = not datasets.are_progress_bars_disabled()
    datasets.disable_progress_bars()
    try:
        yield
    finally:
        if shown:
            datasets.enable_progress_bars()


def _datasets() -> Any:
    try:
        import datasets
    except ImportError as error:
        raise PluginError(
            f"A dataset folder needs a package that is not installed ({error}).",
            cure="pip install 'exprag[train]', or name a file *.parquet or *.jsonl.",
        ) from error
    return datasets
