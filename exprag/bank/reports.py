"""What bank operations report: hits, counts, rows that were refused."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from exprag.trajectory import Trajectory


@dataclass(frozen=True)
class Hit:
    """A trajectory found. `score`: BM25 (lexical) or dot product (vectors); higher is nearer, never across banks. `step` is the
    one that matched best, where keys are by step."""

    trajectory: Trajectory
    score: float
    step: int | None = None


@dataclass(frozen=True)
class AddReport:
    """How many trajectories went in, and how many were there already by id."""

    added: int = 0
    skipped_existing: int = 0

    def __add__(self, other: AddReport) -> AddReport:
        return AddReport(self.added + other.added, self.skipped_existing + other.skipped_existing)

    def __str__(self) -> str:
        return f"{self.added} added, {self.skipped_existing} there already"


@dataclass(frozen=True)
class BadRow:
    """A line of a file that did not validate, and why."""

    line: int
    reason: str


@dataclass(frozen=True)
class ImportReport:
    """What became of a file's rows: nothing is left out without being named here."""

    added: int = 0
    skipped_existing: int = 0
    bad: tuple[BadRow, ...] = ()

    def __str__(self) -> str:
        bad = f", {len(self.bad)} bad lines left out" if self.bad else ""
        return f"{AddReport(self.added, self.skipped_existing)}{bad}"


@dataclass(frozen=True)
class BankInfo:
    """A bank at one version. The counts are by value; success by "success", "failure" and "unknown"."""

    uri: str
    version: int
    rows: int
    encoder: str
    dimension: int
    strategies: tuple[str, ...]
    exprag: str
    size_bytes: int | None
    environments: dict[str, int] = field(default_factory=dict)
    types: dict[str, int] = field(default_factory=dict)
    splits: dict[str, int] = field(default_factory=dict)
    outcomes: dict[str, int] = field(default_factory=dict)
    sources: dict[str, int] = field(default_factory=dict)
    fingerprints: dict[str, int] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)
