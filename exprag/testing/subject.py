"""What environment checks work with: the examined factory, its sample tasks and actions, and process bookkeeping."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from exprag.contracts.environment import TextEnvironment
from exprag.environments import calls
from exprag.environments.expert import play_expert
from exprag.errors import EnvError
from exprag.trajectory import Task

ODD_ACTIONS = ("", " ", "xyzzy", "go to " * 400, "\x00\x1b[0m\n\t", "тест 测试 🙂", "<|im_end|>", "'; drop table", "{object}")
SEED = 7


@dataclass
class Subject:
    """What is examined: a factory of the environment, and how many tasks of each split are played."""

    make: Callable[[], TextEnvironment]
    count: int = 2

    def first(self, environment: TextEnvironment, split: str, count: int) -> list[Task] | None:
        """The first tasks of a split; None where its data is not on this machine."""
        try:
            return list(itertools.islice(environment.tasks(split), count))
        except EnvError:
            return None

    def sample(self, environment: TextEnvironment) -> list[Task]:
        """The first tasks of every split that is here."""
        tasks = [task for split in environment.splits for task in self.first(environment, split, self.count) or ()]
        if not tasks:
            list(environment.tasks(environment.splits[0]))  # raises what is missing
            raise AssertionError("no split has any task")
        return tasks

    def actions(self, environment: TextEnvironment, task: Task, limit: int = 12) -> list[str]:
        """Some actions to play on a task, with odd ones in between: the expert's, else admissible ones, else odd ones alone."""
        if environment.experts:
            moves: Sequence[str] = play_expert(environment, task, seed=SEED, max_steps=limit).actions
        else:
            moves = _walk(environment, task, limit)
        if not moves:
            return list(ODD_ACTIONS)
        return [action for pair in itertools.zip_longest(moves, ODD_ACTIONS[:3]) for action in pair if action is not None]


def _walk(environment: TextEnvironment, task: Task, limit: int) -> list[str]:
    """The first admissible action, then the second of the next state, and so on; empty where the environment cannot tell them."""
    moves: list[str] = []
    outcome = calls.reset(environment, task, SEED)
    while len(moves) < limit and not outcome.terminated and not outcome.truncated:
        admissible = calls.admissible_actions(environment)
        if not admissible:
            break
        moves.append(admissible[len(moves) % len(admissible)])
        outcome = calls.step(environment, moves[-1], outcome)
    return moves


def children() -> set[int]:
    """Process ids of this process's children; empty where the system does not tell (no /proc)."""
    try:
        return {int(pid) for pid in _readchildren(os.getpid())}
    except OSError:
        return set()


def _readchildren(pid: int) -> list[str]:
    pids: list[str] = []
    for thread in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{thread}/children") as file:
            pids += file.read().split()
    return pids
