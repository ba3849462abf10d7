"""A bank that grows within a run: the agent's own finished episodes enter, gated by outcome and by a rule.

The tasks are played in rounds. All episodes of a round read the bank as it was when the round began; then those that pass the
gate are added, in the order of the tasks and not in that in which workers finished: the same run gives the same bank, with any
number of workers, killed or not. The bank that grows is the run's own copy, RUN/bank; the one it started from stays as it was.

    learned.jsonl     one line a round: number, bank version before and after, ids added, ids refused with the reason
    round.json        the round that is played, and the bank's version when it began

This is the read-write memory that the paper leaves to future work (ExpRAG, limitations).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Sequence
from inspect import isbuiltin
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from exprag.bank.gate import refusal
from exprag.errors import ConfigError, boundary
from exprag.files import append_line, cut_torn_line, write_json, write_whole
from exprag.plugins import resolve
from exprag.runs.config import RunConfig
from exprag.runs.directory import BANK, LEARNED, ROUND, RunDirectory
from exprag.trajectory import Task, Trajectory

if TYPE_CHECKING:
    from exprag.bank import Bank

class Learner:
    """The growing bank of one run. `config` is the run's; with `learn` "none" rounds are counted and no episode enters."""

    def __init__(self, config: RunConfig, directory: RunDirectory) -> None:
        self._config = config
        self._record, self._round = directory.path / LEARNED, directory.path / ROUND
        self._rule = _rule(config.learn_rule)
        self.bank = _own_bank(config, directory.path / BANK)
        self._records: list[dict[str, Any]] = []
        if self._record.exists():
            cut_torn_line(self._record)
            self._records = [json.loads(line) for line in self._record.read_text(encoding="utf-8").splitlines()]

    def rounds(self, tasks: Sequence[Task]) -> list[list[Task]]:
        """The tasks in their order, `learn_every` at a time."""
        size = self._config.learn_every
        return [list(tasks[start : start + size]) for start in range(0, len(tasks), size)]

    def reading(self, number: int) -> RunConfig:
        """The configuration of a round's episodes: the run's own bank, pinned to what it held when the round began."""
        return self._config.model_copy(update={"bank": self.bank.uri, "bank_version": self._version_before(number)})

    def has_learned(self, number: int) -> bool:
        """Whether a round was taken in."""
        return number < len(self._records)

    def learn(self, number: int, episodes: Sequence[Trajectory]) -> None:
        """Take in a finished round. Episodes are in the order of their tasks; a round that was taken in before is passed over."""
        if self.has_learned(number):
            return
        refused = {episode.id: why for episode in episodes if (why := self._refuses(episode))}
        before = self._version_before(number)
        # killed between the two lines, the round is taken in again: adding is idempotent
        self.bank.add(episode for episode in episodes if episode.id not in refused)
        added = [episode.id for episode in episodes if episode.id not in refused]
        record = {"round": number, "from_version": before, "to_version": self.bank.version, "added": added, "refused": refused}
        append_line(self._record, json.dumps(record))
        self._records.append(record)

    def reopen(self, ids: Collection[str]) -> list[str]:
        """Take back the latest rounds, as far as they hold none but these episodes, which ended in errors. Returns the ids of
        those that may be played again: not those of earlier rounds, since later ones have read what these added."""
        count = len(self._records)
        while self._records and not self._records[-1]["added"] and set(self._records[-1]["refused"]) <= set(ids):
            self._records.pop()
        if len(self._records) < count:
            self._round.unlink(missing_ok=True)
            write_whole(self._record, "".join(json.dumps(record) + "\n" for record in self._records))
        closed = {id for record in self._records for id in (*record["added"], *record["refused"])}
        return [id for id in ids if id not in closed]

    def _version_before(self, number: int) -> int:
        """The bank's version when the round began, whoever began it: a killed process may have added some of its episodes."""
        if number < len(self._records):
            return int(self._records[number]["from_version"])
        if self._round.exists():
            begun = json.loads(self._round.read_text(encoding="utf-8"))
            if begun["round"] == number:
                return int(begun["from_version"])
        version = self.bank.version
        write_json(self._round, {"round": number, "from_version": version})
        return version

    def _refuses(self, episode: Trajectory) -> str:
        if self._config.learn == "none":
            return "trajectories are not kept"
        learn: Literal["success", "all"] = "success" if self._config.learn == "success" else "all"
        return refusal(episode, learn, self._rule, rule_name=self._config.learn_rule or "")


def _rule(path: str | None) -> Callable[[Trajectory], object] | None:
    if path is None:
        return None
    cure = "Give module:function; the function takes a Trajectory and says whether it may enter the bank."
    with boundary(ConfigError, f"The rule {path!r} could not be imported", cure=cure):
        rule = resolve(path)
    if not callable(rule) or isbuiltin(rule):
        raise ConfigError(f"The rule {path!r} is a {type(rule).__name__}, not a function of yours.", cure=cure)
    return rule


def _own_bank(config: RunConfig, place: Path) -> Bank:
    """The run's bank: a copy of the one that it starts from at the pinned version, or an empty one. The copy appears whole."""
    from exprag.bank import Bank
    from exprag.bank.files import copy_bank

    if Bank.exists(place):
        return Bank.open(place)
    if config.bank is None:
        return Bank.create(place, strategies=(config.agent.key_strategy or config.agent.strategy,))
    copy_bank(config.bank, place, config.bank_version)
    return Bank.open(place)


def bank_of(config: RunConfig, directory: Path) -> str | None:
    """Where the bank that a run's episodes read lies: its own copy if it learns."""
    return str(directory / BANK) if config.learn != "none" else config.bank
