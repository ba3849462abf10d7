"""The proof that no agent met its own answer, in a finished run or in a training set.

Every trajectory that was recalled is looked up in the bank, at the version that was asked, and held against the exclusion of the
task it was recalled for: the same task, its group, the episode itself, and what the configuration's `wider` names. The records
are believed for what was recalled, never for its having been allowed.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from exprag.bank.exclusion import Exclusion
from exprag.errors import ConfigError
from exprag.trajectory import Task, Trajectory

if TYPE_CHECKING:
    from exprag.bank import Bank

_AT_ONCE = 500


@dataclass(frozen=True)
class Offence:
    """One recalled trajectory that should not have been: `where` is the episode or row that saw it, `why` the rule."""

    where: str
    task: str
    recalled: str
    why: str

    def __str__(self) -> str:
        return f"{self.where} ({self.task}) recalled {self.recalled}: {self.why}"


@dataclass(frozen=True)
class Audit:
    """What was checked. `checked` counts episodes or rows, `recalls` the pairs of one with a trajectory that it saw."""

    checked: int = 0
    recalls: int = 0
    offences: tuple[Offence, ...] = ()

    @property
    def passed(self) -> bool:
        return not self.offences


@dataclass(frozen=True)
class _Seen:
    """An episode or row, what it recalled, and the bank's version that was asked."""

    where: str
    exclusion: Exclusion
    task: str
    recalled: tuple[str, ...]
    version: int | None


def audit(path: str | Path, bank: str | Path | None = None) -> Audit:
    """Audit a run directory or a dataset; `bank` says where its bank is now, if it has moved.

    A recalled trajectory that is not in the bank at that version is an offence too: nothing is known of it. Raises ConfigError
    where the path is neither, BankError where the bank or the version is gone.
    """
    if (Path(path) / "config.json").is_file():
        seen, uri = _run(Path(path))
    else:
        seen, uri = _dataset(Path(path))
    return _check(seen, str(bank) if bank is not None else uri)


def _run(path: Path) -> tuple[Iterator[_Seen], str | None]:
    from exprag.runs import RunDirectory

    directory = RunDirectory(path)
    config = directory.config()
    own = path / "bank"  # of a run that learns, see `exprag.runs.learning`
    episodes = (
        _seen(
            episode.id,
            episode.task,
            episode.id,
            config.agent.exclude_by,
            (recall.id for step in episode.steps for recall in step.recalled),
            episode.provenance.bank_version,
        )
        for episode in directory.episodes()
    )
    return episodes, str(own) if own.is_dir() else config.bank


def _dataset(path: Path) -> tuple[Iterator[_Seen], str | None]:
    from exprag.training.rows.dataset import describe_dataset, read_rows

    about = describe_dataset(path)
    rows = (
        _seen(
            row["id"],
            Task.from_json(row["task"]),
            row["trajectory"],
            about.config.agent.exclude_by,
            (recalled["id"] for recalled in row["recalled"]),
            row["bank_version"],
        )
        for row in read_rows(path)
    )
    return rows, about.bank.uri if about.bank else None


def _seen(where: str, task: Task, episode: str, wider: tuple[str, ...], recalled: Iterable[str], version: int | None) -> _Seen:
    return _Seen(where, Exclusion.of(task, (episode,), wider), task.key, tuple(dict.fromkeys(recalled)), version)


def _check(seen: Iterator[_Seen], uri: str | None) -> Audit:
    checked = recalls = 0
    offences: list[Offence] = []
    waiting: dict[int | None, list[_Seen]] = defaultdict(list)

    def look_up(version: int | None) -> None:
        offences.extend(_offences(waiting.pop(version), _open(uri, version)))

    for one in seen:
        checked += 1
        recalls += len(one.recalled)
        if one.recalled:
            waiting[one.version].append(one)
            if len(waiting[one.version]) == _AT_ONCE:
                look_up(one.version)
    for version in sorted(waiting, key=str):
        look_up(version)
    return Audit(checked, recalls, tuple(offences))


def _open(uri: str | None, version: int | None) -> Bank:
    from exprag.bank import Bank

    if uri is None:
        raise ConfigError("Trajectories were recalled, but no bank is named.", cure="Say where it is: --bank BANK.")
    return Bank.open(uri, version=version)


def _offences(seen: list[_Seen], bank: Bank) -> Iterator[Offence]:
    from exprag.bank import Filter

    ids = tuple({id for one in seen for id in one.recalled})
    found: dict[str, Trajectory] = {t.id: t for t in bank.trajectories(Filter(ids=ids))}
    for one in seen:
        for id in one.recalled:
            why = _why(one.exclusion, found[id]) if id in found else f"not in the bank {bank.uri} at version {bank.version}"
            if why:
                yield Offence(one.where, one.task, id, why)


def _why(exclusion: Exclusion, recalled: Trajectory) -> str:
    """Which rule the trajectory breaks; "" if none."""
    if exclusion.allows(recalled):
        return ""
    rules: dict[str, Any] = {
        "the episode itself": {"trajectory_ids": exclusion.trajectory_ids},
        "the same task": {"task_keys": exclusion.task_keys},
        f"of the same group {recalled.task.group!r}": {"groups": exclusion.groups},
    }
    rules |= {f"the same {said[1]} {said[2]}": {"metadata": frozenset({said})} for said in exclusion.metadata}
    return ", ".join(why for why, rule in rules.items() if not replace(Exclusion(), **rule).allows(recalled))
