"""`exprag data build|stats`: training rows from traces, and how a dataset was made. `show` is in data_show.py."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import App, Parameter
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from exprag.cli.fields import fields, option
from exprag.cli.options import AllowCode, Config, make, options
from exprag.cli.output import console, say, write_json
from exprag.cli.progress import LateBar
from exprag.cli.words import Json, TraceEnv, TraceFormat, path, plain, texts
from exprag.cli.words import out as out_option
from exprag.errors import ConfigError, PluginError, RecordError, boundary
from exprag.traces import AUTO, ENVIRONMENT, read_file
from exprag.training.rows.config import DataConfig

if TYPE_CHECKING:
    from exprag.trajectory import Trajectory

    DataOptions = dict[str, Any] | None
else:
    DataOptions = options(DataConfig)

_NAMED = 20

app = App(name="data", help="Training rows from traces: build, look at, count.")

Place = Annotated[Path, path("A folder, *.parquet or *.jsonl that `data build` made.")]
TokenizerOption = Annotated[str | None, Parameter(name="--tokenizer", help="Model folder or id whose tokenizer makes the ids.")]


@app.command
def build(
    sources: Annotated[list[str], texts("Run directories, banks, or files of trajectories, yours or others'.")],
    /,
    *,
    out: Annotated[Path, out_option("A folder (Hugging Face dataset), *.parquet or *.jsonl.")],
    config: Config = None,
    allow_code: AllowCode = False,
    tokenizer: TokenizerOption = None,
    format: TraceFormat = AUTO,
    environment: TraceEnv = ENVIRONMENT,
    values: DataOptions = None,
) -> None:
    """Turn trajectories into training rows, with the memory that retrieval gives each episode, its own task excluded."""
    from exprag.training import build_rows, write_dataset

    data = make(DataConfig, values, config, allow_code)
    _no_fields(data.environment_options)
    bank = _bank(data)
    if bank is not None:
        data = data.model_copy(update={"bank_version": bank.version})
    loaded = load_tokenizer(tokenizer) if tokenizer else None
    trajectories = [trajectory for source in sources for trajectory in read_trajectories(source, format, environment)]
    if environment == ENVIRONMENT and any(trajectory.task.environment == ENVIRONMENT for trajectory in trajectories):
        what = "Rows are written as the prompt of an environment, and nothing says which these trajectories are of."
        raise ConfigError(what, cure="Give --env NAME (exprag plugins lists the names).")
    with _bar(out.name) as progress:
        rows = build_rows(trajectories, bank, data, tokenizer=loaded, progress=progress)
        write_dataset(out, rows)
    say(f"{out}:\n{rows.report}")


@app.command
def stats(dataset: Place, /, *, as_json: Json = False) -> None:
    """How a dataset was made, and what became of the trajectories."""
    from exprag.training import describe_dataset

    about = describe_dataset(dataset).model_dump(mode="json")
    if as_json:
        write_json(about)
        return
    table = Table(show_header=False, box=None)
    report = about.pop("report")
    for name, value in {**about, **report}.items():
        if isinstance(value, dict):
            value = "\n".join(f"{key}: {item}" for key, item in value.items() if item not in (None, "", [], {}))
        table.add_row(plain(name.replace("_", " "), "bold"), plain("none" if value in ("", None) else str(value)))
    console().print(table)


def read_trajectories(source: str, format: str = AUTO, environment: str = ENVIRONMENT) -> Iterator[Trajectory]:
    """The trajectories of a run directory, a bank or a file in a format of `exprag.traces`.

    Raises ConfigError where it is none of them, and RecordError naming the rows that do not fit.
    """
    from exprag.runs import RunDirectory

    place = Path(source)
    if place.is_file():
        return _of_file(place, format, environment)
    if (place / "config.json").is_file():
        return iter(RunDirectory(place).episodes())
    from exprag.bank import Bank

    if not Bank.exists(source):
        raise ConfigError(f"{source} holds no trajectories.", cure="Name run directories, banks, or files of trajectories.")
    return Bank.open(source).trajectories()


def _of_file(file: Path, format: str, environment: str) -> Iterator[Trajectory]:
    bad = []
    for result in read_file(file, format, environment):
        if result.trajectory is None:
            bad.append(f"{file}, row {result.row}: {result.fault}")
        else:
            yield result.trajectory
    if bad:
        more = f"\n… and {len(bad) - _NAMED} more" if len(bad) > _NAMED else ""
        cure = "Fix them; or import the file into a bank, which leaves them out (exprag bank import), and build from that."
        raise RecordError("\n".join(bad[:_NAMED]) + more, cure=cure)


def load_tokenizer(name: str) -> Any:
    """The tokenizer of a model folder or id. Raises PluginError without the extra, ConfigError where there is none."""
    try:
        from transformers import AutoTokenizer
    except ImportError as error:
        what = f"Tokenizing needs a package that is not installed ({error})."
        raise PluginError(what, cure="pip install 'exprag[train]'") from error
    with boundary(ConfigError, f"There is no tokenizer {name!r}", cure="Name a model folder, or a model id."):
        return AutoTokenizer.from_pretrained(name)


def _no_fields(values: dict[str, Any]) -> None:
    """Raises ConfigError for a field given by --set, which once took any field and is for options of the environment now."""
    for name in values.keys() & {field.name for field in fields(DataConfig)}:
        raise ConfigError(f"--set {name}: this is not an option of the environment.", cure=f"Write {option(name)} VALUE.")


def _bank(data: DataConfig) -> Any:
    """The bank, pinned: rows of one dataset are of one version."""
    if data.bank is None:
        return None
    from exprag.bank import Bank

    version = data.bank_version if data.bank_version is not None else Bank.open(data.bank).version
    return Bank.open(data.bank, version=version)


@contextmanager
def _bar(name: str) -> Iterator[Callable[[int, int | None], None]]:
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with LateBar(*columns, console=console(stderr=True)) as bar:
        task = bar.add_task(plain(name).plain, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
