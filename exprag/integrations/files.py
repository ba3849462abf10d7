"""Trajectories as Parquet files and Hugging Face datasets, beside JSONL: columns to look at and filter by, and the payload.

The column `payload` is the whole trajectory as JSON; reading takes it alone, so nothing is lost and a column edited by hand
changes nothing. A file appears whole or not at all. Rows that do not validate are reported with their number (from 1), the
rest goes in; imported rows are quarantined unless trusted, as a JSONL file's are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from importlib import import_module
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from exprag.bank.filters import Filter
from exprag.bank.reports import BadRow, ImportReport
from exprag.bank.store import guard
from exprag.errors import ConfigError, PluginError, RecordError, boundary
from exprag.files import beside
from exprag.integrations.trace_files import export_traces
from exprag.text import utf8
from exprag.traces import AUTO, ENVIRONMENT, format_names
from exprag.trajectory import Trajectory

if TYPE_CHECKING:
    import pyarrow as pa

    from exprag.bank.bank import Bank

FORMATS = ("jsonl", "parquet", "dataset")
PAYLOAD = "payload"
_BATCH = 1024


def export_bank(bank: Bank, path: str | Path, format: str = "", where: Filter | None = None) -> int:
    """Write the trajectories that fit the filter; returns how many. `format`: jsonl, parquet, dataset (a folder, as
    `Dataset.save_to_disk` writes it), or a trace format (see `trace_files`); default: by the name's ending, or a dataset."""
    kind = format or {".jsonl": "jsonl", ".json": "jsonl", ".parquet": "parquet", "": "dataset"}.get(Path(path).suffix, "")
    writers: dict[str, Callable[..., int]] = {"parquet": export_parquet, "dataset": export_dataset}
    if kind in format_names():
        return export_traces(bank, path, kind, where)
    if kind not in FORMATS:
        raise ConfigError(f"{path}: no format of this name.", cure=f"Give --format: {', '.join([*FORMATS, *format_names()])}.")
    return bank.export_jsonl(path, where) if kind == "jsonl" else writers[kind](bank, path, where)


def import_file(
    bank: Bank,
    path: str | Path,
    *,
    trust: bool | None = False,
    format: str = AUTO,
    environment: str = ENVIRONMENT,
    rewrite: Sequence[str] = (),
) -> ImportReport:
    """Add the trajectories of a Parquet file or a dataset folder that an export made, or else of a file as `Bank.import_file`
    reads it, in the format of this name."""
    own = Path(path).is_dir() or Path(path).suffix == ".parquet"
    if own and (rewrite or format not in (AUTO, "exprag")):
        what, option = ("whose actions are not rewritten", "--rewrite") if rewrite else ("which are read as they are", "--format")
        raise ConfigError(f"{path} holds our own records, {what}.", cure=f"Leave out {option}.")
    if Path(path).is_dir():
        return import_dataset(bank, path, trust=trust)
    if Path(path).suffix == ".parquet":
        return import_parquet(bank, path, trust=trust)
    return bank.import_file(path, format=format, environment=environment, trust=trust, rewrite=rewrite)


def export_parquet(bank: Bank, path: str | Path, where: Filter | None = None) -> int:
    """One row per trajectory, zstd-compressed; returns the number of rows."""
    import pyarrow.parquet as pq

    count = 0
    with (
        guard(f"The file {path} cannot be written"),
        beside(Path(path)) as partial,
        pq.ParquetWriter(partial, _schema(), compression="zstd") as out,
    ):
        for table in _tables(bank.trajectories(where)):
            out.write_table(table)
            count += table.num_rows
    return count


def import_parquet(bank: Bank, path: str | Path, *, trust: bool | None = False) -> ImportReport:
    """Raises ConfigError where the file is missing or has no payload column."""
    import pyarrow.parquet as pq

    if not Path(path).is_file():
        raise ConfigError(f"There is no file {path}.", cure="Name a Parquet file of trajectories.")
    with guard(f"The file {path} cannot be read"), pq.ParquetFile(path) as file:
        _check(file.schema_arrow.names, path)
        batches = (batch.column(PAYLOAD).to_pylist() for batch in file.iter_batches(_BATCH, columns=[PAYLOAD]))
        return _import(bank, (payload for batch in batches for payload in batch), trust)


def to_dataset(trajectories: Iterable[Trajectory]) -> Any:
    """A Hugging Face `datasets.Dataset` in memory, one row per trajectory: `to_dataset(bank.trajectories(where))`."""
    import pyarrow as pa

    return _datasets().Dataset(pa.concat_tables([_schema().empty_table(), *_tables(trajectories)]))


def from_dataset(bank: Bank, dataset: Any, *, trust: bool | None = False) -> ImportReport:
    """Add the trajectories of a `datasets.Dataset` that `to_dataset` made."""
    _check(dataset.column_names, "The dataset")
    return _import(bank, (row[PAYLOAD] for row in dataset.select_columns([PAYLOAD])), trust)


def export_dataset(bank: Bank, path: str | Path, where: Filter | None = None) -> int:
    """A folder that `datasets.load_from_disk` reads. Raises ConfigError where something is there already."""
    target = Path(path)
    if target.exists():
        raise ConfigError(f"{target} is there already.", cure="Name a new folder.")
    dataset = to_dataset(bank.trajectories(where))
    with guard(f"The folder {path} cannot be written"), beside(target) as partial:
        dataset.save_to_disk(partial)
    return len(dataset)


def import_dataset(bank: Bank, path: str | Path, *, trust: bool | None = False) -> ImportReport:
    """Add the trajectories of a folder that `export_dataset` wrote. Raises ConfigError where it is another, or damaged."""
    loader, cure = _datasets().load_from_disk, "Name what Dataset.save_to_disk wrote."
    with boundary(ConfigError, f"The dataset {path} cannot be read", cure=cure):
        try:
            dataset = loader(str(path))
        except FileNotFoundError as error:
            raise ConfigError(f"{path} is not a folder of a dataset.", cure=cure) from error
    return from_dataset(bank, dataset, trust=trust)


def _schema() -> pa.Schema:
    import pyarrow as pa

    texts = ("id", "environment", "task", "split", "type", "instruction")
    return pa.schema(
        [
            *((name, pa.string()) for name in texts),
            ("success", pa.bool_()),
            ("score", pa.float64()),
            ("steps", pa.int32()),
            *((name, pa.string()) for name in ("ended", "source", "model", "run", "created", "fingerprint", PAYLOAD)),
        ]
    )


def _tables(trajectories: Iterable[Trajectory]) -> Iterator[pa.Table]:
    import pyarrow as pa

    supply = iter(trajectories)
    while batch := list(islice(supply, _BATCH)):
        yield pa.Table.from_pylist([_row(trajectory) for trajectory in batch], schema=_schema())


def _row(trajectory: Trajectory) -> dict[str, Any]:
    task, origin = trajectory.task, trajectory.provenance
    row = {
        "id": trajectory.id,
        "environment": task.environment,
        "task": task.id,
        "split": task.split,
        "type": task.type,
        "instruction": task.instruction,
        "success": trajectory.success,
        "score": trajectory.score,
        "steps": len(trajectory.steps),
        "ended": trajectory.ended,
        "source": trajectory.source,
        "model": origin.model,
        "run": origin.run,
        "created": origin.created,
        "fingerprint": trajectory.fingerprint,
        PAYLOAD: trajectory.to_json(),
    }
    return {name: utf8(value) if isinstance(value, str) else value for name, value in row.items()}


def _import(bank: Bank, payloads: Iterable[Any], trust: bool | None) -> ImportReport:
    bad: list[BadRow] = []

    def valid() -> Iterator[Trajectory]:
        for number, payload in enumerate(payloads, 1):
            try:
                if not isinstance(payload, str):
                    raise RecordError("The payload is empty.")
                yield Trajectory.from_json(payload)
            except RecordError as error:
                bad.append(BadRow(number, error.message))

    report = bank.add(valid(), trust=trust)
    return ImportReport(report.added, report.skipped_existing, tuple(bad), report.quarantined)


def _check(columns: Iterable[str], what: object) -> None:
    if PAYLOAD not in columns:
        raise ConfigError(
            f"{what} has no column {PAYLOAD!r}: it is not an export of a bank.", cure=f"Its columns: {', '.join(columns)}."
        )


def _datasets() -> Any:
    try:
        return import_module("datasets")
    except ImportError as error:
        raise PluginError(f"Hugging Face datasets are not installed ({error}).", cure="pip install datasets") from error
