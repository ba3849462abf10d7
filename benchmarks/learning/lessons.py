"""What is learnt from: the expert's episodes of train games, some of them played again with a learner's mistakes in between."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from exprag.contracts.environment import TextEnvironment
from exprag.environments.expert import play
from exprag.errors import EnvError
from exprag.plugins import create
from exprag.trajectory import Task, Trajectory

HELD_OUT = 10
"""Rooms (in ScienceWorld variations) whose number is divisible by this are not learnt from: choices are made on their games."""
MISTAKE_RATE = 0.2
"""Share of the expert's actions that have mistakes before them, in an episode with slips."""
SLIPS = (1, 1, 2, 3, 5)
"""How many mistakes come in a row before the way out of them."""


def held_out(task: Task) -> bool:
    """Whether a train game lies in one of the rooms that choices are made on."""
    return int(str(task.metadata.get("scene", task.metadata.get("variation")))) % HELD_OUT == 0


def lessons(
    episodes: Iterable[Trajectory],
    environment: str,
    environment_options: Mapping[str, Any],
    *,
    longest: int,
    slips: float,
    limit: int | None,
    seed: int,
) -> Iterator[Trajectory]:
    """Won episodes of at most `longest` steps outside the held-out rooms, the types in turn, drawn with the seed; a share `slips`
    of them played again with a learner's mistakes in between. What follows a mistake is learnt, and not the mistake itself
    (`mask_invalid`): a way out of the model's own."""
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
    with create("environment", environment, **environment_options) as games:
        for episode in chosen:
            again = slipping(games, episode.task, rng, seed, longest) if rng.random() < slips else None
            yield again if again is not None and again.success else episode


def slipping(environment: TextEnvironment, task: Task, rng: random.Random, seed: int, longest: int) -> Trajectory:
    """The expert's episode with a learner's mistakes in between, marked as not valid whether or not the game understands them."""
    games: Any = environment
    mistakes: set[int] = set()

    def policy() -> Iterator[str]:
        played: list[str] = []
        expert = games.expert("searcher")
        while True:
            if played and rng.random() < MISTAKE_RATE:
                for mistake in _mistakes(played, task, rng):
                    if mistake.startswith("go to ") or mistake not in games.admissible_actions():
                        mistakes.add(len(played))
                        played.append(mistake)
                        yield mistake
            action = next(expert, None)
            if action is None:
                return
            played.append(action)
            yield action

    episode = play(environment, task, policy, seed=seed, max_steps=longest + 15, model="expert:searcher with slips")
    if episode.error is not None:
        raise EnvError(episode.error.message)
    steps = [step.model_copy(update={"valid": False}) if n in mistakes else step for n, step in enumerate(episode.steps)]
    return episode.model_copy(update={"steps": tuple(steps)})


def _mistakes(played: list[str], task: Task, rng: random.Random) -> list[str]:
    """What a learner does at a loss, some times in a row: on to places that are not there, back to where it was, or it takes, or
    puts down, the thing that it has only read of."""
    visited = [action.removeprefix("go to ") for action in played if action.startswith("go to ")]
    here = visited[-1] if visited else ""
    kind, _, number = here.rpartition(" ")
    if not number.isdigit():
        return []
    thing = f"{str(task.metadata['object']).lower()} {rng.randint(1, 3)}"
    count = rng.choice(SLIPS)
    on = [f"go to {kind} {int(number) + further}" for further in range(1, count + 1)]
    back = [f"go to {rng.choice(visited)}" for _ in range(min(count, 3))]
    handled = [rng.choice((f"take {thing} from {here}", f"move {thing} to {here}"))] * min(count, 2)
    return rng.choice((on, back, handled, [*handled, *on], [*back, *handled]))
