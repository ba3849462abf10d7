"""The proof that no agent met its own answer, in a finished run or in a training set.

Every trajectory that was recalled is looked up in the bank, at the version that was asked, and compared with the exclusion of the
task for which it was recalled: the same task, its group, the episode itself, and the metadata that the configuration's
`exclude_by` names. The records are believed about what was recalled, never about its having been allowed. Rows of an agent
without hints and worked examples must hold neither.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from os.path import exists, isfile
from pathlib import Path
from typing import TYPE_CHECKING

from exprag.bank.exclusion import Exclusion
from exprag.errors import ConfigError
from exprag.evaluation.recalled import is_remote
from exprag.prompt.hint_block import hint_ids
from exprag.text import redact
from exprag.trajectory import Task, Trajectory

if TYPE_CHECKING:
    from exprag.bank import Bank
    from exprag.config import AgentConfig

_BATCH = 500  # episodes or rows that are looked up together


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
    """What was checked, and what should not have been recalled."""

    checked: int = 0
    """Episodes or rows, without the repeated ones."""
    recalls: int = 0
    """Pairs of an episode or row with a trajectory that it saw."""
    offences: tuple[Offence, ...] = ()
    """The recalls that break a rule."""
    repeated: int = 0
    """Further episodes of a task and seed that the run already has; they are looked at too."""

    @property
    def passed(self) -> bool:
        return not self.offences


@dataclass(frozen=True)
class _Context:
    """An episode or row, what it recalled, and the bank's version that was asked."""

    where: str
    exclusion: Exclusion
    task: str
    recalled: tuple[str, ...]
    version: int | None
    repeated: bool = False
    hints: tuple[str, ...] = ()
    """The hints that it read, by id."""
    about: Task | None = None
    """Its task, where it read hints."""
    blocks: tuple[str, ...] = ()
    """What of a teacher's prompt stands in a row of a student that is to do without."""


def audit(path: str | Path, bank: str | Path | None = None) -> Audit:
    """Audit a run directory or a dataset; `bank` says where its bank is now, if it has moved.

    A recalled trajectory that is not in the bank at that version is an offence too: nothing is known of it. Raises ConfigError
    where the path is neither, or names a bank that is not on this machine: such a bank is opened only if `bank` names it, since
    that uses the network and the caller's credentials. Raises BankError where the bank or the version is gone.
    """
    if not exists(path):
        cure = "Name what `exprag run` or `exprag data build` wrote."
        raise ConfigError(f"There is no run and no training set {path}.", cure=cure)
    contexts, uri = _run(Path(path)) if isfile(Path(path) / "config.json") else _dataset(Path(path))
    return _check(contexts, partial(_open, str(bank) if bank is not None else uri, trusted=bank is not None))


def _run(path: Path) -> tuple[Iterator[_Context], str | None]:
    from exprag.runs import RunDirectory
    from exprag.runs.learning import bank_of

    directory = RunDirectory(path)
    config = directory.config(allow_code=True)  # nothing that it names is made here

    def contexts() -> Iterator[_Context]:
        keys: set[tuple[str, int | None]] = set()
        for episode in directory.episodes():
            key = episode.task.key, episode.provenance.seed
            recalled = (item.id for step in episode.steps for item in step.recalled)
            yield _Context(
                episode.id,
                Exclusion.of(episode.task, (episode.id,), config.agent.exclude_by),
                episode.task.key,
                tuple(dict.fromkeys(recalled)),
                episode.provenance.bank_version,
                repeated=key in keys,
                hints=hint_ids(episode),
                about=episode.task,
            )
            keys.add(key)

    return contexts(), bank_of(config, path)


def _dataset(path: Path) -> tuple[Iterator[_Context], str | None]:
    from exprag.training.rows.dataset import describe_dataset, read_rows

    about = describe_dataset(path)

    def contexts() -> Iterator[_Context]:
        for row in read_rows(path):
            task = Task.from_json(row["task"])
            exclusion = Exclusion.of(task, (row["trajectory"],), about.config.agent.exclude_by)
            recalled = tuple(dict.fromkeys(item["id"] for item in row["recalled"]))
            blocks = blocks_in(str(row["messages"][0]["content"]), about.config.agent)
            yield _Context(row["id"], exclusion, task.key, recalled, row["bank_version"], blocks=blocks)

    return contexts(), about.bank.uri if about.bank else None


def blocks_in(system: str, agent: AgentConfig) -> tuple[str, ...]:
    """The hints and worked examples in a system message of an agent that has none."""
    from exprag.prompt.hint_block import HINTS
    from exprag.prompt.prompt import EXAMPLES

    marks = (("a hint block", HINTS, not agent.hint_k), ("worked examples", EXAMPLES, not agent.examples))
    return tuple(name for name, mark, absent in marks if absent and f"\n\n{mark}\n" in system)


def _check(contexts: Iterator[_Context], open_bank: Callable[[int | None], Bank]) -> Audit:
    checked = recalls = repeated = 0
    offences: list[Offence] = []
    waiting: dict[int | None, list[_Context]] = defaultdict(list)
    for context in contexts:
        checked += not context.repeated
        repeated += context.repeated
        recalls += len(context.recalled) + len(context.hints)
        offences += [Offence(context.where, context.task, block, "the rows' configuration has none") for block in context.blocks]
        if context.recalled or context.hints:
            waiting[context.version].append(context)
            if len(waiting[context.version]) == _BATCH:
                offences += _offences(waiting.pop(context.version), open_bank(context.version))
    for version in sorted(waiting, key=str):
        offences += _offences(waiting[version], open_bank(version))
    return Audit(checked, recalls, tuple(offences), repeated)


def _open(uri: str | None, version: int | None, *, trusted: bool) -> Bank:
    from exprag.bank import Bank

    if uri is None:
        raise ConfigError("Trajectories were recalled, but no bank is named.", cure="Say where it is: --bank BANK.")
    if is_remote(uri) and not trusted:
        name = redact(uri)
        what = f"The bank {name} was not opened, because it is not on this machine."
        raise ConfigError(what, cure=f"To open it: --bank {name}")
    return Bank.open(uri, version=version)


def _offences(contexts: list[_Context], bank: Bank) -> Iterator[Offence]:
    from exprag.bank import Filter

    ids = tuple({id for context in contexts for id in context.recalled})
    stored: dict[str, Trajectory] = {t.id: t for t in bank.trajectories(Filter(ids=ids))} if ids else {}
    yield from _hint_offences([context for context in contexts if context.hints], bank)
    for context in contexts:
        for id in context.recalled:
            missing = f"not in the bank {bank.uri} at version {bank.version}"
            if why := context.exclusion.why(stored[id]) if id in stored else missing:
                yield Offence(context.where, context.task, id, why)


def _hint_offences(contexts: list[_Context], bank: Bank) -> Iterator[Offence]:
    """Hints every origin of which is the task itself or its group, and those of which nothing is known."""
    if not contexts:
        return
    from exprag.bank.items import Items
    from exprag.retrieval.hints import is_allowed

    items = {item.id: item for item in Items(bank)}
    for context in contexts:
        assert context.about is not None
        for id in context.hints:
            if id not in items:
                yield Offence(context.where, context.task, id, f"no such hint in the bank {bank.uri}")
            elif not is_allowed(items[id], context.about, [context.where]):
                yield Offence(context.where, context.task, id, "the hint comes from the task itself or its group alone")
