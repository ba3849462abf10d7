"""New ALFWorld games, without any download: `generate(seed, task_type)`.

A game is drawn room by room from counts over the real train games (`generate_room`), written as a game file
(`generate_problem`), and returned only after both its walkthrough and an exploring expert have won it: the package's
hand-coded policy without its mistake about drops (see `fast.expert`), within an episode's usual 50 steps.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from importlib.util import find_spec
from itertools import islice
from pathlib import Path
from random import Random
from typing import Any

from exprag.errors import ConfigError, EnvError, closest
from exprag_envs.alfworld.fast import FastEngine
from exprag_envs.alfworld.fast.problem import read_problem
from exprag_envs.alfworld.fast.world import World
from exprag_envs.alfworld.generate_problem import pddl_problem, task_text, walkthrough
from exprag_envs.alfworld.generate_room import LIGHT, TASK_TYPES, Goal, draw_goal, draw_room

Game = dict[str, Any]

VERSION = 1  # of the games that a seed gives; raise it whenever they change
EXPERT_STEPS, EXPERT_SEED = 50, 0
_ATTEMPTS = 200


def generate(seed: int, task_type: str | None = None) -> Game:
    """One solvable game; equal arguments give an equal game.

    The keys of a `game.tw-pddl` (pddl_domain, grammar, pddl_problem, solvable, walkthrough), of its `traj_data.json`
    (task_type, pddl_params), and `id`, `seed`, `task` (the goal in words). pddl_domain and grammar are there only where
    the alfworld package is installed: its own files, which only engine "alfworld" needs.
    Raises ConfigError for an unknown task type, EnvError where no draw was solvable (none is known).
    """
    if task_type is not None and task_type not in TASK_TYPES:
        raise ConfigError(f"ALFWorld has no task type {task_type!r}.", cure=closest(task_type, list(TASK_TYPES)))
    goal = goal_of(seed, task_type)
    for attempt in range(_ATTEMPTS):
        game = _draw(Random(f"{VERSION} room {seed} {goal.task_type} {attempt}"), seed, goal)
        if game is not None and _is_won(game):
            return game
    raise EnvError(f"No solvable room was found for seed {seed} and {goal} in {_ATTEMPTS} draws.", cure="Take another seed.")


def goal_of(seed: int, task_type: str | None = None) -> Goal:
    """The goal of the game that `generate` gives for these arguments, without making it."""
    rng = Random(f"{VERSION} goal {seed} {task_type}")
    return draw_goal(rng, task_type or rng.choice(TASK_TYPES))


def game_id(seed: int, goal: Goal) -> str:
    """As ALFWorld names a task's folder, with the seed for the scene."""
    return f"{goal.task_type}-{goal.target}-None-{goal.parent}-{seed}"


def _draw(rng: Random, seed: int, goal: Goal) -> Game | None:
    room = draw_room(rng, goal)
    if room is None:
        return None
    key = game_id(seed, goal)
    task = task_text(rng, goal)
    problem = pddl_problem(f"generated_{seed}", room, goal)
    lit = goal.task_type == LIGHT
    return {
        "id": key,
        "seed": seed,
        "task_type": goal.task_type,
        "pddl_params": {
            "object_target": goal.target,
            "parent_target": "" if lit else goal.parent,
            "toggle_target": goal.parent if lit else "",
            "mrecep_target": "",
            "object_sliced": False,
        },
        "task": task,
        **_logic(task),
        "pddl_problem": problem,
        "solvable": True,
        "walkthrough": walkthrough(room, goal, World(read_problem(problem)).name),
    }


def _is_won(game: Game) -> bool:
    """Whether it is not won at the start, and walkthrough and expert both win it."""
    engine = FastEngine()
    engine.load(game, game["id"])
    if engine.reset().won or not _wins(engine, iter(game["walkthrough"]), len(game["walkthrough"])):
        return False
    engine.reset()
    goal = {"task_type": game["task_type"], **game["pddl_params"]}
    return _wins(engine, engine.expert(goal, EXPERT_SEED, heeds_moves=True), EXPERT_STEPS)


def _wins(engine: FastEngine, actions: Iterator[str], limit: int) -> bool:
    return any(engine.step(action).won for action in islice(actions, limit))


def _logic(task: str) -> dict[str, str]:
    """pddl_domain and grammar for engine "alfworld", from the installed package's own files."""
    domain, grammar = _package_files()
    if not (domain and grammar):
        return {}
    return {"pddl_domain": domain, "grammar": grammar.replace('UNKNOWN GOAL."', json.dumps(task)[1:])}


@cache
def _package_files() -> tuple[str, str]:
    spec = find_spec("alfworld")
    folder = Path(spec.origin).parent / "data" if spec and spec.origin else None
    if folder is None or not (folder / "alfred.pddl").is_file():
        return "", ""
    return tuple((folder / name).read_text(encoding="utf-8") for name in ("alfred.pddl", "alfred.twl2"))  # type: ignore[return-value]
