"""What a dataset says about itself: how its rows were made, from what, and what became of the trajectories.

It stands in dataset.json: in the folder of a Hugging Face dataset, or beside a file as FILE.dataset.json.
"""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError

from exprag.errors import ConfigError, first_fault
from exprag.models.tokens import tokenizer_hash
from exprag.training.rows.config import DataConfig
from exprag.training.rows.tokens import name_of
from exprag.trajectory import now

if TYPE_CHECKING:
    from exprag.training.rows.build import Rows

PACKAGES = ("exprag", "lancedb", "pydantic", "transformers", "tokenizers", "datasets")


class Source(BaseModel):
    """The bank that memory came from."""

    uri: str
    """Its folder or URI."""
    version: int
    """The version that was searched."""


class TokenizerRecord(BaseModel):
    """The tokenizer that made the ids."""

    name: str
    """The folder or id that it was loaded from."""
    hash: str
    """What it does, as a hash: it is known again by this (`exprag.models.tokens.tokenizer_hash`)."""
    end_of_turn: str = ""
    """What ends a turn of the assistant; it is learnt with the turn."""
    marked: bool = False
    """Whether the chat template's own `{% generation %}` markers say so too."""
    folds: bool = False
    """Whether the system message was written at the beginning of the first user message, since the template takes none."""


class Description(BaseModel):
    """Everything that the rows depend on, and what became of the trajectories."""

    model_config = ConfigDict(frozen=True)

    format: int = 1
    """Version of this record."""
    created: str = ""
    """When the rows were built, UTC, ISO 8601."""
    config: DataConfig
    """How the rows were made."""
    bank: Source | None = None
    """Where memory came from; None: there is none."""
    tokenizer: TokenizerRecord | None = None
    """What made the ids; None: the rows hold chats alone."""
    environments: dict[str, str] = Field(default_factory=dict)
    """The environments of the rows, and the fingerprint of each."""
    packages: dict[str, str] = Field(default_factory=dict)
    """Versions of the packages that made the rows."""
    report: dict[str, JsonValue] = Field(default_factory=dict)
    """Counts of the build, see `exprag.training.rows.report`."""

    @property
    def longest(self) -> int:
        """Tokens of the longest row; 0 where the dataset is not tokenised."""
        return int(self.report.get("longest", 0))  # type: ignore[arg-type]


def describe_dataset(path: str | Path) -> Description:
    """What the dataset at a path says about itself. Raises ConfigError where there is no dataset, or a damaged one."""
    file = description_path(Path(path))
    try:
        return Description.model_validate_json(file.read_bytes())
    except OSError as error:
        raise ConfigError(f"{path} is not a dataset of exprag: {file} is missing.", cure="Make one: exprag data build") from error
    except ValidationError as error:
        raise ConfigError(f"{file} does not validate: {first_fault(error)}.") from error


def description_path(path: Path) -> Path:
    """The file that describes the dataset at a path."""
    return path.with_name(f"{path.name}.dataset.json") if path.suffix else path / "dataset.json"


def describe_rows(rows: Rows) -> Description:
    """What to say about rows that were just built to the last one."""
    tokens = rows.tokens
    record = None
    if tokens is not None:
        name, digest = name_of(tokens.tokenizer), tokenizer_hash(tokens.tokenizer)
        folds = tokens.template.folds
        record = TokenizerRecord(name=name, hash=digest, end_of_turn=tokens.end_of_turn, marked=tokens.marked, folds=folds)
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
