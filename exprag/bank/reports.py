"""What bank operations report: hits, counts, rows that were refused, and what is in a bank."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from exprag.bank.filters import TRUST, TRUSTED
from exprag.trajectory import OUTCOMES, Trajectory

if TYPE_CHECKING:
    import pyarrow as pa
    from langchain_core.documents import Document

    from exprag.bank.schema import Description
    from exprag.bank.store import Store

_COUNTED = ("environment", "type", "split", "success", "source", "fingerprint", TRUST)


@dataclass(frozen=True)
class Hit:
    """A trajectory that a search returned. `score`: BM25 (lexical) or dot product (vectors); higher is nearer; scores of two
    banks do not compare. `step` is the one that matched best, where keys are by step."""

    trajectory: Trajectory
    score: float
    step: int | None = None


@dataclass(frozen=True)
class AddReport:
    """How many trajectories went in, how many were there already by id, and how many of those added are quarantined. `notes`
    say what else was done, such as an index made."""

    added: int = 0
    skipped_existing: int = 0
    quarantined: int = 0
    notes: tuple[str, ...] = ()

    def __add__(self, other: AddReport) -> AddReport:
        return AddReport(
            self.added + other.added,
            self.skipped_existing + other.skipped_existing,
            self.quarantined + other.quarantined,
            self.notes + other.notes,
        )

    def __str__(self) -> str:
        quarantined = f" ({self.quarantined} of them quarantined)" if self.quarantined else ""
        return "; ".join([f"{self.added} added{quarantined}, {self.skipped_existing} there already", *self.notes])


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
    quarantined: int = 0
    notes: tuple[str, ...] = ()

    def __str__(self) -> str:
        bad = (f"{len(self.bad)} bad lines left out",) if self.bad else ()
        return str(AddReport(self.added, self.skipped_existing, self.quarantined, bad + self.notes))


@dataclass(frozen=True)
class DocumentHit:
    """A document that a search returned. `score`: BM25 (lexical) or dot product of unit vectors; higher is nearer."""

    document: Document
    score: float


@dataclass(frozen=True)
class DocumentReport:
    """What became of added documents: `ids` are theirs, in order; `unchanged` counts those that the bank had word for word."""

    ids: tuple[str, ...] = ()
    added: int = 0
    replaced: int = 0
    unchanged: int = 0

    def __str__(self) -> str:
        return f"{self.added} added, {self.replaced} replaced, {self.unchanged} unchanged"


@dataclass(frozen=True)
class VersionRecord:
    """One version of a bank: when it was made (UTC, ISO 8601), what made it, its rows, and the tags that name it."""

    version: int
    created: str
    what: str
    rows: int
    tags: tuple[str, ...] = ()


@dataclass(frozen=True)
class IndexReport:
    """The vector index of one strategy: its kind (or "exact": none), partitions and vectors; why it was chosen and the seconds
    that building it took, where it was built just now; and as measured with `queries` of the stored keys: recall@10 against the
    exact search, and the median milliseconds of a search."""

    strategy: str
    kind: str
    partitions: int
    vectors: int
    recall: float | None = None
    ms: float | None = None
    queries: int = 0
    why: str = ""
    seconds: float | None = None

    def __str__(self) -> str:
        parts = f" of {self.partitions} partitions" if self.partitions else ""
        why = f" ({self.why})" if self.why else ""
        built = f", built in {self.seconds:.1f} s" if self.seconds is not None else ""
        measured = f"; recall@10 {self.recall:.3f}, {self.ms:.1f} ms" if self.recall is not None else ""
        return f"{self.strategy}: {self.kind}{parts} over {self.vectors:,} vectors{why}{built}{measured}"


@dataclass(frozen=True)
class Pruned:
    """What `optimize` left: the bank's version, how many versions remain and how many were removed. `held_by` is the tag that
    protected more of them than the age asked for."""

    version: int
    remaining: int
    removed: int
    held_by: str = ""

    def __str__(self) -> str:
        holder = f"; the tag {self.held_by!r} holds all from its own on" if self.held_by else ""
        return f"version {self.version}, {self.remaining} versions kept, {self.removed} removed{holder}"


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
    trust: dict[str, int] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def describe_bank(table: Any, about: Description, store: Store) -> BankInfo:
    """Read the counted columns (not the payloads) and add them up."""
    from exprag.bank.schema import strategies_of

    columns = [column for column in _COUNTED if column in table.schema.names]
    rows: pa.Table = table.search().select(columns).to_arrow()
    counts: dict[str, dict[Any, int]] = {TRUST: {TRUSTED: rows.num_rows}}  # of a bank older than the column
    for column in columns:
        values = rows[column].combine_chunks().value_counts().to_pylist()
        by_value = {item["values"]: item["counts"] for item in values}
        counts[column] = dict(sorted(by_value.items(), key=lambda item: (-item[1], str(item[0]))))
    return BankInfo(
        uri=store.uri,
        version=int(table.version),
        rows=rows.num_rows,
        encoder=about.encoder,
        dimension=about.dimension,
        strategies=strategies_of(table.schema),
        exprag=about.exprag,
        size_bytes=store.size(),
        environments=counts["environment"],
        types=counts["type"],
        splits=counts["split"],
        outcomes={OUTCOMES[value]: count for value, count in counts["success"].items()},
        sources=counts["source"],
        fingerprints=counts["fingerprint"],
        trust=counts[TRUST],
    )
