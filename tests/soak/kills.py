"""Kills aimed at named moments, in runs, learning runs and banks: what is left is completed by the same command."""

from __future__ import annotations

import shutil
import signal
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.soak.commands import Command, Ended, call
from tests.soak.outcome import judge_bank, judge_command, judge_family, judge_run, whole_lines
from tests.soak.table import Row

GATE = "soak.gates:Gate"
PLAY = ("--env", GATE, "--name", "soak")
SHORT = ("--limit", "6", "--max-steps", "3")
LEARNING = ("--set", "size=24", "--limit", "20", "--max-steps", "2", "--learn", "all", "--learn-every", "8")
"""The first of its three rounds makes an upkeep of the bank's indices due."""


@dataclass(frozen=True)
class Attack:
    """A moment of a command, and the kind of command: "run", "learn", "learn empty", "retry" or "collect"."""

    name: str
    kind: str
    moment: str = "-"
    hold: str = ""
    """Instead of a moment: where the environment is held, "reset" or "step" of the third task."""
    ignores: str = ""
    how: int = signal.SIGKILL


FILES = "exprag.files"
SPAWNED = "before exprag.runs.worker_process:WorkerProcess.play"
DIRECTORY = "exprag.runs.directory:RunDirectory"
ATTACKS = (
    Attack("run: before its folder is prepared", "run", f"before {DIRECTORY}.prepare"),
    Attack("run: before config.json is whole", "run", f"before {FILES}:Path.replace"),
    Attack("run: config.json without versions.json", "run", f"before {DIRECTORY}.write_versions"),
    Attack("run: before versions.json is whole", "run", f"before {FILES}:Path.replace#2"),
    Attack("run: before the first worker", "run", "before exprag.runs.engine:play_all"),
    Attack("run: a worker was just spawned", "run", SPAWNED),
    Attack("run: Ctrl-C while workers are spawned", "run", SPAWNED, how=signal.SIGINT),
    Attack("run: in a reset", "run", hold="reset"),
    Attack("run: in a step", "run", hold="step"),
    Attack("run: Ctrl-C in a step that ignores SIGTERM", "run", hold="step", ignores="SIGTERM", how=signal.SIGINT),
    Attack("run: SIGTERM in a step", "run", hold="step", how=signal.SIGTERM),
    Attack("run: before an episode is written", "run", f"before {DIRECTORY}.append#3"),
    Attack("run: after an episode was written", "run", f"after {DIRECTORY}.append#3"),
    Attack("run: before errors are taken out", "retry", f"before {FILES}:Path.replace#3"),
    Attack("learning: before the bank is copied", "learn", "before exprag.bank.files:shutil.copytree"),
    Attack("learning: a copy half made", "learn", "after exprag.bank.files:shutil.copytree"),
    Attack("learning: an empty bank half made", "learn empty", "before exprag.bank.store:Path.rename"),
    Attack("learning: in a step", "learn", hold="step"),
    Attack("learning: before a round is taken in", "learn", "before exprag.runs.learning:Learner.learn#2"),
    Attack("learning: between add and upkeep", "learn", "before exprag.bank.index:Upkeep.complete"),
    Attack("learning: in the upkeep", "learn", "after lancedb.table:LanceTable.optimize"),
    Attack("learning: before a round is recorded", "learn", "before exprag.runs.learning:append_line#2"),
    Attack("bank: before it is in its place", "collect", "before exprag.bank.store:Path.rename"),
    Attack("bank: between add and upkeep", "collect", "before exprag.bank.index:Upkeep.complete"),
)


class Ground:
    """A folder for attacks, with the undisturbed results to compare with, each made once."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._made: dict[str, Path] = {}

    def undisturbed(self, kind: str) -> Path:
        if kind not in self._made:
            place = self.folder / f"undisturbed-{kind.replace(' ', '-')}"
            ended = call(self.command(kind, place, ""))
            assert ended.code == 0, ended.output
            self._made[kind] = place
        return self._made[kind]

    def command(self, kind: str, place: Path, sign: Path | str, at: str = "", ignores: str = "") -> Sequence[object]:
        """The command of a kind, with its result in `place`; held there by a gate if `at`."""
        if kind == "collect":
            return ["collect", "--env", GATE, "--workers", "0", "--out", self.experts(), "--bank", place]
        gate = [f"sign={sign}", f"at={at or 'step'}", *([f"ignores={ignores}"] if ignores else [])] if sign else []
        options = [part for option in gate for part in ("--set", option)]
        if kind == "run":
            return ["run", *PLAY, *SHORT, *options, "--workers", "2", "--out", place]
        bank = ["--bank", self.bank()] if kind == "learn" else []
        return ["run", *PLAY, *LEARNING, *options, *bank, "--workers", "1", "--out", place]

    def experts(self) -> Path:
        """A finished run of the expert."""
        if "experts" not in self._made:
            out = self.folder / "experts"
            ended = call(["collect", "--env", GATE, "--workers", "0", "--out", out])
            assert ended.code == 0, ended.output
            self._made["experts"] = out
        return self._made["experts"]

    def bank(self) -> Path:
        """A bank of them, trusted."""
        if "bank" not in self._made:
            place = self.folder / "bank"
            ended = call(self.command("collect", place, ""))
            assert ended.code == 0, ended.output
            self._made["bank"] = place
        return self._made["bank"]


def rows(folder: Path, times: int, choose: Callable[[str], bool]) -> Iterator[Row]:
    """One row for each moment, attacked `times` times."""
    ground = Ground(folder)
    for attack in ATTACKS:
        if choose(attack.name):
            row = Row(attack.name)
            for number in range(times):
                _attack(row, attack, ground, number)
            yield row


def _attack(row: Row, attack: Attack, ground: Ground, number: int) -> None:
    kind = "run" if attack.kind == "retry" else attack.kind
    undisturbed = ground.undisturbed(kind)
    place = ground.folder / "attacked"
    sign = ground.folder / "sign"
    shutil.rmtree(place, ignore_errors=True)
    for file in (sign, Path(f"{sign}.open")):
        file.unlink(missing_ok=True)
    command = [*ground.command(kind, place, sign if attack.hold else "", attack.hold, attack.ignores)]
    if attack.kind == "retry":
        call(command)
        _break_one(place)
        command.append("--retry-errors")
    row.tried += 1
    child = Command(command, attack.moment)
    what = f"try {number + 1}"
    if not child.stands(sign if attack.hold else None):
        ended = child.wait(1)
        row.stuck += 1
        row.notes.append(f"{what}: it never came to {attack.moment}: {ended.output[-300:]}")
        return
    before = whole_lines(place)
    child.kill(attack.how)
    ended = child.wait(30)
    _judge_end(row, attack, ended, what)
    judge_family(row, child, what)
    Path(f"{sign}.open").touch()
    sign.unlink(missing_ok=True)
    judge_command(row, call(command), f"{what}, the same command")
    if kind == "collect":
        judge_bank(row, place, undisturbed, what)
    else:
        if attack.kind == "retry":
            before = [line for line in before if b'"error":{' not in line.replace(b" ", b"")]
        judge_run(row, place, undisturbed, before, what)


def _judge_end(row: Row, attack: Attack, ended: Ended, what: str) -> None:
    """A killed command says nothing; an interrupted one says how to go on, without a traceback."""
    if attack.how != signal.SIGINT:
        if ended.code is None:
            row.stuck += 1
            row.notes.append(f"{what}: it did not end")
        return
    judge_command(row, ended, f"{what}, Ctrl-C", codes=(130,))
    if "Run the same command again" not in ended.output:
        row.unexpected += 1
        row.notes.append(f"{what}: Ctrl-C does not say how to go on: {ended.output[-300:]}")
    if "resource_tracker" in ended.output:
        row.unexpected += 1
        row.notes.append(f"{what}: {ended.output[-300:]}")


def _break_one(out: Path) -> None:
    """Have the first episode of a finished run be one that ended in an error."""
    from exprag.files import write_jsonl
    from exprag.runs import RunDirectory
    from exprag.trajectory import EpisodeError

    first, *others = RunDirectory(out).episodes()
    error = EpisodeError(boundary="environment", message="it broke")
    write_jsonl(out / "episodes.jsonl", [first.model_copy(update={"ended": "error", "error": error}), *others])
