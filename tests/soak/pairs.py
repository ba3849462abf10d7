"""Two processes at once in one run directory, one learning run, one new bank and one bank that grows."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.soak.commands import Command, call
from tests.soak.kills import Ground
from tests.soak.outcome import judge_bank, judge_command, judge_run, whole_lines
from tests.soak.table import Row


def rows(folder: Path, times: int, choose: Callable[[str], bool]) -> Iterator[Row]:
    """One row for each kind of directory; the first process is held inside, and the second comes."""
    ground = Ground(folder)
    for kind in ("run", "learn"):
        row = Row(f"two processes: {kind}")
        if choose(row.attack):
            for number in range(times):
                _two_runs(row, kind, ground, f"try {number + 1}")
            yield row
    moments = {"a new bank": "before exprag.bank.store:Path.rename", "a bank": "before exprag.bank.index:Upkeep.complete"}
    for name, moment in moments.items():
        row = Row(f"two processes: {name}")
        if choose(row.attack):
            for number in range(times):
                _two_collects(row, moment, ground, f"try {number + 1}", new=name == "a new bank")
            yield row


def _two_runs(row: Row, kind: str, ground: Ground, what: str) -> None:
    """The second is told who is there, and plays nothing; the first goes on as if alone."""
    undisturbed = ground.undisturbed(kind)
    place, sign = ground.folder / "shared", ground.folder / "sign"
    shutil.rmtree(place, ignore_errors=True)
    for file in (sign, Path(f"{sign}.open")):
        file.unlink(missing_ok=True)
    command = ground.command(kind, place, sign, "step")
    row.tried += 1
    first = Command(command)
    if not first.stands(sign):
        row.stuck += 1
        row.notes.append(f"{what}: the first never came to its step: {first.wait(1).output[-300:]}")
        return
    before = whole_lines(place)
    second = call(command)
    judge_command(row, second, f"{what}, the second", codes=(1,))
    if str(first.process.pid) not in second.output:
        row.unexpected += 1
        row.notes.append(f"{what}: the second is not told who is there: {second.output[-300:]}")
    Path(f"{sign}.open").touch()
    sign.unlink()
    judge_command(row, first.wait(), f"{what}, the first")
    judge_run(row, place, undisturbed, before, what)


def _two_collects(row: Row, moment: str, ground: Ground, what: str, *, new: bool) -> None:
    """Both wait for each other and end with one bank that holds every episode once."""
    undisturbed = ground.undisturbed("collect")
    place = ground.folder / "shared-bank"
    shutil.rmtree(place, ignore_errors=True)
    command = ground.command("collect", place, "")
    if not new:
        judge_command(row, call(["bank", "create", place]), f"{what}, the bank")
    row.tried += 1
    first = Command(command, moment)
    if not first.stands():
        row.stuck += 1
        row.notes.append(f"{what}: the first never came to {moment}: {first.wait(1).output[-300:]}")
        return
    second = Command(command, "before exprag.bank.bank:Bank.open_or_create")
    second.stands()
    second.go_on()
    first.go_on()
    for name, child in (("the first", first), ("the second", second)):
        judge_command(row, child.wait(), f"{what}, {name}")
    judge_bank(row, place, undisturbed, what)


