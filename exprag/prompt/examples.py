"""Worked episodes for the prompt, from a file or from the bank."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from exprag.bank.filters import Filter
from exprag.errors import ConfigError
from exprag.files import read_jsonl
from exprag.trajectory import Trajectory

if TYPE_CHECKING:
    from exprag.bank import Bank


def worked_examples(source: str, environment: str, bank: Bank | None) -> tuple[Trajectory, ...]:
    """The episodes of a JSONL file, or with "bank:N" the N shortest successes of the bank, one per task type first.

    Raises ConfigError where there is no such file, or no bank to take them from.
    """
    if not source:
        return ()
    kind, _, number = source.partition(":")
    if kind != "bank" or not number.isdigit():
        if not Path(source).is_file():
            raise ConfigError(f"There are no examples {source!r}.", cure="Name a JSONL file, or say bank:N.")
        return tuple(read_jsonl(source))
    if bank is None:
        raise ConfigError("Examples from the bank need a bank.", cure="Name one, or give a JSONL file.")
    return _shortest(bank.trajectories(Filter(environment=environment, success=True)), int(number))


def _shortest(trajectories: Iterable[Trajectory], number: int) -> tuple[Trajectory, ...]:
    """The shortest episodes, of as many task types as there are."""
    by_type: dict[str, list[Trajectory]] = {}
    for trajectory in sorted(trajectories, key=lambda t: (len(t.steps), t.id)):
        by_type.setdefault(trajectory.task.type, []).append(trajectory)
    ranked = sorted((rank, len(t.steps), t.id, t) for group in by_type.values() for rank, t in enumerate(group))
    return tuple(trajectory for *_, trajectory in ranked[:number])
