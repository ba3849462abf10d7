"""What a run directory or a bank holds, and what is wrong with it after an attack."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

from exprag.bank import Bank
from exprag.runs import RunDirectory
from exprag.trajectory import Trajectory
from tests.soak.commands import Command, Ended, survivors
from tests.soak.table import Row


def judge_command(row: Row, ended: Ended, what: str, codes: tuple[int, ...] = (0,)) -> None:
    """Count a command that did not end, ended with another code than one of `codes`, or was surprised."""
    end = "\n".join(ended.output.splitlines()[-6:])
    if ended.code not in codes:
        row.stuck += 1
        row.notes.append(f"{what}: exit code {ended.code}: {end}")
    if ended.unexpected:
        row.unexpected += 1
        row.notes.append(f"{what}: {end}")


def judge_family(row: Row, command: Command, what: str) -> None:
    """Count the processes that a command left behind."""
    if alive := survivors(command):
        row.orphaned += len(alive)
        row.notes.append(f"{what}: left running: {'; '.join(alive)}")


def whole_lines(out: Path) -> list[bytes]:
    """The whole lines of episodes that are on disk."""
    file = out / "episodes.jsonl"
    return [line for line in file.read_bytes().splitlines(keepends=True) if line.endswith(b"\n")] if file.exists() else []


def judge_run(row: Row, out: Path, undisturbed: Path, before: list[bytes], what: str) -> None:
    """Compare a run that was attacked and completed with one that was not. `before`: the lines that were there at the attack."""
    lines = whole_lines(out)
    missing_lines = [line for line in before if line not in lines]
    episodes, others = RunDirectory(out).episodes(), RunDirectory(undisturbed).episodes()
    mine, theirs = ({episode.task.key: _content(episode) for episode in group} for group in (episodes, others))
    different = [key for key in theirs if mine.get(key) != theirs[key]]
    if missing_lines or different:
        row.lost += len(missing_lines) + len(different)
        row.notes.append(f"{what}: {len(missing_lines)} lines gone; other or missing episodes: {', '.join(different) or 'none'}")
    repeated = [key for key, count in Counter(episode.task.key for episode in episodes).items() if count > 1]
    if repeated:
        row.twice += len(repeated)
        row.notes.append(f"{what}: twice: {', '.join(repeated)}")
    if (undisturbed / "learned.jsonl").exists():
        _judge_rounds(row, out, undisturbed, what)
    leftovers = [path.name for path in out.rglob("*") if path.name.endswith((".partial", ".upkeep"))]
    if leftovers:
        row.lost += 1
        row.notes.append(f"{what}: left behind: {', '.join(leftovers)}")


def judge_bank(row: Row, place: Path, undisturbed: Path, what: str) -> None:
    """Compare what two banks hold and answer."""
    mine, theirs = Bank.open(place), Bank.open(undisturbed)
    counts = Counter(episode.id for episode in mine)
    expected = {episode.id for episode in theirs}
    if set(counts) != expected:
        row.lost += len(expected ^ set(counts))
        row.notes.append(f"{what}: the bank holds {len(counts)} episodes, not {len(expected)}")
    if repeated := sum(count > 1 for count in counts.values()):
        row.twice += repeated
        row.notes.append(f"{what}: {repeated} episodes are twice in the bank")
    for query in ("put the mug in the desk", "the apple"):
        answers = [[(hit.trajectory.id, hit.score) for hit in bank.search(query, k=20)] for bank in (mine, theirs)]
        if answers[0] != answers[1]:
            row.lost += 1
            row.notes.append(f"{what}: the bank answers {query!r} otherwise")


def _judge_rounds(row: Row, out: Path, undisturbed: Path, what: str) -> None:
    mine, theirs = (_rounds(folder) for folder in (out, undisturbed))
    if len(mine) != len({record["round"] for record in mine}):
        row.twice += 1
        row.notes.append(f"{what}: a round is recorded twice")
    if [record["added"] for record in mine] != [record["added"] for record in theirs]:
        row.lost += 1
        row.notes.append(f"{what}: the rounds added other episodes")
    mine_ids, theirs_ids = (sorted(episode.id for episode in Bank.open(folder / "bank")) for folder in (out, undisturbed))
    if mine_ids != theirs_ids:
        row.lost += 1
        row.notes.append(f"{what}: its bank holds {len(mine_ids)} episodes, not {len(theirs_ids)}")


def _rounds(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (out / "learned.jsonl").read_text(encoding="utf-8").splitlines()]


def _content(episode: Trajectory) -> tuple[Any, ...]:
    """What an episode says, without times and versions."""
    recalled = [[(item.id, item.score) for item in step.recalled] for step in episode.steps]
    return episode.id, episode.actions, [step.observation for step in episode.steps], episode.success, episode.ended, recalled
