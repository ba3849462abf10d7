"""Draws a room for a goal: which receptacles stand in it and what lies where, with the frequencies of ALFWorld's train games.

Receptacles, objects and places are drawn independently of each other, each from its own count in `generate_tables`. So no room
is a copy, and each pair of a thing and its receptacle ("a mug on a desk") occurs in the real games. A thing lies in one
receptacle only.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from exprag_envs.alfworld.generate_tables import tables

# What a task type needs in its room beside the receptacle to put things into.
STATIONS = {
    "pick_clean_then_place_in_recep": "SinkBasin",
    "pick_heat_then_place_in_recep": "Microwave",
    "pick_cool_then_place_in_recep": "Fridge",
}
LIGHT, TWO, SIMPLE = "look_at_obj_in_light", "pick_two_obj_and_place", "pick_and_place_simple"
TASK_TYPES = (SIMPLE, LIGHT, *STATIONS, TWO)


@dataclass(frozen=True)
class Goal:
    """`target` is the object's type, `parent` the receptacle's (or the lamp's, for looking at something in its light)."""

    task_type: str
    room: str
    target: str
    parent: str


@dataclass(frozen=True)
class Receptacle:
    id: str
    kind: str
    location: str
    openable: bool


@dataclass(frozen=True)
class Thing:
    id: str
    kind: str
    holder: Receptacle


@dataclass(frozen=True)
class Room:
    start: str  # the agent's location, away from every receptacle
    receptacles: list[Receptacle]
    things: list[Thing]

    def of(self, kind: str) -> list[Receptacle]:
        return [receptacle for receptacle in self.receptacles if receptacle.kind == kind]


def draw_goal(rng: Random, task_type: str) -> Goal:
    """One of the goals of the real games, with the frequency that it has there."""
    goals = tables()["goals"][task_type]
    ((room, target, parent, _),) = rng.choices(goals, [number for *_, number in goals])
    return Goal(task_type, room, target, parent)


def draw_room(rng: Random, goal: Goal) -> Room | None:
    """A room in which the goal is to be reached and is not reached yet; None where the draw gave none."""
    need = {STATIONS.get(goal.task_type), None if goal.task_type == LIGHT else goal.parent}
    locations = iter(rng.sample([f"loc_bar_{_sign(x)}_bar_{_sign(y)}_bar_{rng.randrange(4)}_bar_{30 * rng.randrange(3)}"
                                 for x in range(-10, 11) for y in range(-10, 11)], 120))  # fmt: skip
    receptacles = []
    for kind, numbers in tables()["receptacles"][goal.room].items():
        for _ in range(_number(rng, numbers, at_least=int(kind in need))):
            openable = rng.random() < tables()["openable"].get(kind, 0)
            receptacles.append(Receptacle(_id(rng, kind), kind, next(locations), openable))

    things = []
    lamp = goal.parent if goal.task_type == LIGHT else None
    for kind, numbers in tables()["objects"][goal.room].items():
        minimum = {goal.target: 1 + (goal.task_type == TWO), lamp: 1}.get(kind, 0)
        number = _number(rng, numbers, at_least=minimum)
        holders = dict(tables()["holders"][goal.room].get(kind, {}))
        if kind == goal.target and goal.task_type in (SIMPLE, TWO):
            holders.pop(goal.parent, None)  # else it is done, or half done, before it is begun
        weights = [(receptacle, holders[receptacle.kind]) for receptacle in receptacles if receptacle.kind in holders]
        if not weights:
            if minimum:
                return None
            continue
        for _ in range(number):
            things.append(Thing(_id(rng, kind), kind, rng.choices(*zip(*weights, strict=True))[0]))
    return Room(next(locations), receptacles, things)


def _number(rng: Random, numbers: dict[str, int], at_least: int) -> int:
    weights = {int(number): weight for number, weight in numbers.items() if int(number) >= at_least}
    return rng.choices(list(weights), list(weights.values()))[0] if weights else at_least


def _id(rng: Random, kind: str) -> str:
    """An id as ALFRED forms it, from the type and a position; basins belong to a fixture."""
    fixture, basin, _ = kind.partition("Basin")
    where = "_bar_".join(_coordinate(rng.randrange(low, high)) for low, high in ((-400, 400), (0, 250), (-400, 400)))
    return f"{fixture}_bar_{where}" + (f"_bar_{kind}" if basin else "")


def _coordinate(hundredths: int) -> str:
    whole, rest = divmod(abs(hundredths), 100)
    return f"_{'minus' if hundredths < 0 else 'plus'}_{whole:02}_dot_{rest:02}"


def _sign(number: int) -> str:
    return f"_minus_{-number}" if number < 0 else str(number)
