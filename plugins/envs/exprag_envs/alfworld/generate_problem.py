"""Writes a drawn room and its goal as the parts of an ALFWorld game file: PDDL problem, task line, walkthrough."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

from exprag_envs.alfworld.generate_room import LIGHT, STATIONS, TWO, Goal, Receptacle, Room, Thing
from exprag_envs.alfworld.generate_tables import tables

# The two wordings of each task type in ALFWorld.
_TASKS = {
    "pick_and_place_simple": ("put a {0} in {1}.", "put some {0} on {1}."),
    "look_at_obj_in_light": ("look at {0} under the {1}.", "examine the {0} with the {1}."),
    "pick_clean_then_place_in_recep": ("put a clean {0} in {1}.", "clean some {0} and put it in {1}."),
    "pick_heat_then_place_in_recep": ("put a hot {0} in {1}.", "heat some {0} and put it in {1}."),
    "pick_cool_then_place_in_recep": ("put a cool {0} in {1}.", "cool some {0} and put it in {1}."),
    "pick_two_obj_and_place": ("put two {0} in {1}.", "find two {0} and put them in {1}."),
}
# Verb of a treatment, the property that it asks for and the fact that it leaves.
_TREATED = {
    "pick_clean_then_place_in_recep": ("clean", "cleanable", "isClean"),
    "pick_heat_then_place_in_recep": ("heat", "heatable", "isHot"),
    "pick_cool_then_place_in_recep": ("cool", "coolable", "isCool"),
}


def task_text(rng: Random, goal: Goal) -> str:
    return rng.choice(_TASKS[goal.task_type]).format(goal.target.lower(), goal.parent.lower())


def pddl_problem(name: str, room: Room, goal: Goal) -> str:
    """The problem in PDDL, over the ALFRED domain. What no action or text depends on (walls, windows) is left out."""
    counts = tables()
    locations = [room.start, *(receptacle.location for receptacle in room.receptacles)]
    # The domain itself names some types, so all are declared.
    receptacle_types = sorted(counts["can_contain"].keys() | {kind for kinds in counts["receptacles"].values() for kind in kinds})
    object_types = sorted(counts["properties"].keys() | {kind for kinds in counts["objects"].values() for kind in kinds})
    objects = [
        "agent1 - agent",
        *(f"{kind}Type - rtype" for kind in receptacle_types),
        *(f"{kind}Type - otype" for kind in object_types),
        *(f"{thing.id} - object" for thing in room.things),
        *(f"{receptacle.id} - receptacle" for receptacle in room.receptacles),
        *(f"{location} - location" for location in locations),
    ]
    return (
        f"(define (problem {name})\n(:domain alfred)\n(:objects\n{_lines(objects)})\n"
        f"(:init\n{_lines(_init(room))})\n(:goal\n    {_goal(goal)}))\n"
    )


def _init(room: Room) -> Iterator[str]:
    counts = tables()
    yield f"(atLocation agent1 {room.start})"
    for receptacle in room.receptacles:
        yield f"(receptacleType {receptacle.id} {receptacle.kind}Type)"
        yield f"(receptacleAtLocation {receptacle.id} {receptacle.location})"
        if receptacle.openable:
            yield f"(openable {receptacle.id})"
    for thing in room.things:
        yield f"(objectType {thing.id} {thing.kind}Type)"
        yield f"(inReceptacle {thing.id} {thing.holder.id})"
        yield f"(objectAtLocation {thing.id} {thing.holder.location})"
        for name in counts["properties"].get(thing.kind, []):
            yield f"({'isReceptacleObject' if name == 'isreceptacleobject' else name} {thing.id})"
    here = {thing.kind for thing in room.things}
    for kind in sorted({receptacle.kind for receptacle in room.receptacles}):
        for inner in counts["can_contain"].get(kind, []):
            if inner in here:
                yield f"(canContain {kind}Type {inner}Type)"


def _goal(goal: Goal) -> str:
    target, parent = f"{goal.target}Type", f"{goal.parent}Type"
    if goal.task_type == LIGHT:
        return (
            "(and (exists (?ot - object ?r - receptacle ?a - agent ?l - location) (and "
            f"(objectType ?ot {parent}) (toggleable ?ot) (isToggled ?ot) (receptacleAtLocation ?r ?l) (atLocation ?a ?l) "
            f"(inReceptacle ?ot ?r))) (exists (?o - object ?a - agent) (and (objectType ?o {target}) (holds ?a ?o))))"
        )
    placed = f"(objectType ?{{0}} {target}) (receptacleType ?r {parent}) (inReceptacle ?{{0}} ?r)"
    if goal.task_type == TWO:
        second = f"(exists (?o2 - object) (and (not (= ?o1 ?o2)) {placed.format('o2')}))"
        return f"(and (exists (?r - receptacle) (exists (?o1 - object) (and {placed.format('o1')} {second}))))"
    _, able, fact = _TREATED.get(goal.task_type, ("", "", ""))
    treated = f"({able} ?o) ({fact} ?o) " if able else ""
    return f"(and (exists (?r - receptacle) (exists (?o - object) (and {treated}{placed.format('o')}))))"


def walkthrough(room: Room, goal: Goal, names: dict[str, str]) -> list[str]:
    """The straight way to the goal, knowing where everything is. `names`: id in lower case → name in the game."""
    targets = [thing for thing in room.things if thing.kind == goal.target]
    return list(_way(_Way(names), room, goal, targets))


class _Way:
    """Where the walker stands and what it has opened."""

    def __init__(self, names: dict[str, str]) -> None:
        self.names = names
        self.here = ""
        self.open: set[str] = set()

    def name(self, entity: Receptacle | Thing) -> str:
        return self.names[entity.id.lower()]

    def to(self, receptacle: Receptacle, *, inside: bool = True) -> Iterator[str]:
        if receptacle.id != self.here:
            yield f"go to {self.name(receptacle)}"
            self.here = receptacle.id
        if inside and receptacle.openable and receptacle.id not in self.open:
            yield f"open {self.name(receptacle)}"
            self.open.add(receptacle.id)


def _way(way: _Way, room: Room, goal: Goal, targets: list[Thing]) -> Iterator[str]:
    for target in targets[: 1 + (goal.task_type == TWO)]:
        yield from way.to(target.holder)
        yield f"take {way.name(target)} from {way.name(target.holder)}"
        if goal.task_type == LIGHT:
            lamp = next(thing for thing in room.things if thing.kind == goal.parent)
            yield from way.to(lamp.holder, inside=False)
            yield f"use {way.name(lamp)}"
            return
        if goal.task_type in STATIONS:
            station = room.of(STATIONS[goal.task_type])[0]
            yield from way.to(station, inside=False)
            yield f"{_TREATED[goal.task_type][0]} {way.name(target)} with {way.name(station)}"
        parent = room.of(goal.parent)[0]
        yield from way.to(parent)
        yield f"move {way.name(target)} to {way.name(parent)}"


def _lines(lines: Iterator[str] | list[str]) -> str:
    return "".join(f"    {line}\n" for line in lines)
