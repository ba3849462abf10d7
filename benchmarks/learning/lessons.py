"""What is learnt from: the expert's episodes of train games, some of them played again with a learner's mistakes in between."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from typing import Any

from exprag.contracts.environment import TextEnvironment
from exprag.environments.expert import play
from exprag.errors import EnvError
from exprag.plugins import create
from exprag.trajectory import Task, Trajectory

HELD_OUT_SCENES = 10
"""Rooms whose number is divisible by this are not learnt from: choices are made on their games."""
SLIPS = (1, 1, 2, 3, 5)
"""How often a mistake is repeated before the way out of it."""


def held_out(task: Task) -> bool:
    """Whether a train game lies in one of the rooms that choices are made on."""
    return int(str(task.metadata["scene"])) % HELD_OUT_SCENES == 0


def lessons(
    episodes: Iterable[Trajectory], environment: str, *, longest: int, slips: float, limit: int | None, seed: int
) -> Iterator[Trajectory]:
    """Won episodes of at most `longest` steps outside the held-out rooms, the types in turn, drawn with the seed; a share `slips`
    of them played again with actions in between that the game does not understand. Only what such an action is followed by is
    learnt, not the action itself (`mask_invalid`), so that the model sees a way out of its own mistakes."""
    rng = random.Random(seed)
    by_type: dict[str, list[Trajectory]] = {}
    for episode in episodes:
        if episode.success and len(episode.steps) <= longest and not held_out(episode.task):
            by_type.setdefault(episode.task.type, []).append(episode)
    turns = []
    for type_ in sorted(by_type):
        by_type[type_].sort(key=lambda episode: episode.task.id)  # not in the order in which workers were done
        rng.shuffle(by_type[type_])
        turns += [(number / len(by_type[type_]), episode.id, episode) for number, episode in enumerate(by_type[type_])]
    chosen = [episode for *_, episode in sorted(turns, key=lambda turn: turn[:2])][:limit]
    with create("environment", environment) as games:
        for episode in chosen:
            again = slipping(games, episode.task, rng, seed, longest) if rng.random() < slips else None
            yield again if again is not None and again.success else episode


def slipping(environment: TextEnvironment, task: Task, rng: random.Random, seed: int, longest: int) -> Trajectory:
    """The expert's episode with a learner's mistakes: the place after the last of its kind, a thing that is not there, a command
    that is none. A learner repeats what failed: it must see the way out after several times too."""
    games: Any = environment

    def policy() -> Iterator[str]:
        last = ""
        for action in games.expert("searcher"):
            goes = action.startswith("go to ")
            mistakes = _mistakes(last, goes)
            if mistakes and rng.random() < (0.35 if goes else 0.15):
                mistake = rng.choice(mistakes)
                if mistake not in games.admissible_actions():
                    yield from [mistake] * rng.choice(SLIPS)
            yield action
            last = action.removeprefix("go to ") if goes else last

    episode = play(environment, task, policy, seed=seed, max_steps=longest + 15, model="expert:searcher with slips")
    if episode.error is not None:
        raise EnvError(episode.error.message)
    return episode


def _mistakes(place: str, goes: bool) -> list[str]:
    if not place:
        return []
    kind, _, number = place.rpartition(" ")
    after = [f"go to {kind} {int(number) + 1}"] * 6 if goes and number.isdigit() else []
    return [f"take mug 1 from {place}", f"open {place}", f"go to {place}", *after]
