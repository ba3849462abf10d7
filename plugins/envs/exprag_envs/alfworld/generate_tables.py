"""What ALFWorld's train games hold, counted: the tables from which `generate` draws new games.

    python -m exprag_envs.alfworld.generate_tables ROOT

counts the train games below ROOT (the layout of `alfworld-download`) and writes `generate_tables.json` beside this file.
Only counts are kept, no game. The keys:

    receptacles   room → receptacle type → how many of it → scenes (floor plans)
    openable      receptacle type → share that can be opened, where it is not 0
    objects       room → object type → how many of it lie in receptacles → games
    holders       room → object type → receptacle type that holds it → objects
    properties    object type → what it is (pickupable, cleanable …)
    can_contain   receptacle type → object types that may be put there
    goals         task type → [room, object, receptacle or lamp, games]
"""

from __future__ import annotations

import json
import re
import sys
from collections import Counter, defaultdict
from functools import cache
from pathlib import Path
from typing import Any

from exprag_envs.alfworld import games
from exprag_envs.alfworld.fast.problem import Facts, read_problem

FILE = Path(__file__).with_suffix(".json")

# AI2-THOR's floor plans: 1-30 are kitchens, 201-230 living rooms, 301-330 bedrooms, 401-430 bathrooms.
ROOMS = {0: "kitchen", 2: "livingroom", 3: "bedroom", 4: "bathroom"}
PROPERTIES = ("pickupable", "cleanable", "heatable", "coolable", "sliceable", "toggleable", "isreceptacleobject")

Tables = dict[str, Any]


@cache
def tables() -> Tables:
    """The shipped tables."""
    return json.loads(FILE.read_text(encoding="utf-8"))


def count(root: Path) -> Tables:
    """Count the train games below a root. Takes some 20 seconds for all 3,553."""
    scenes: dict[tuple[str, int], Counter[str]] = {}
    openable: defaultdict[str, Counter[bool]] = defaultdict(Counter)
    objects: defaultdict[str, defaultdict[str, Counter[int]]] = defaultdict(lambda: defaultdict(Counter))
    holders: defaultdict[str, defaultdict[str, Counter[str]]] = defaultdict(lambda: defaultdict(Counter))
    properties: defaultdict[str, set[str]] = defaultdict(set)
    contents: defaultdict[str, set[str]] = defaultdict(set)
    goals: defaultdict[str, Counter[tuple[str, str, str]]] = defaultdict(Counter)
    played: Counter[str] = Counter()

    for task in games.list_tasks(root, "train", games.expand_types(None)):
        game, trial = games.read_game(root, task)
        facts = read_problem(game["pddl_problem"]).facts
        proper = {word.lower(): word for word in re.findall(r"\b(\w+)Type\b", game["pddl_problem"])}
        scene = int(task.metadata["scene"])  # type: ignore[arg-type]
        room = ROOMS[scene // 100]
        played[room] += 1
        kinds = _kinds(facts, "receptacletype", proper)
        things = _kinds(facts, "objecttype", proper)
        scenes[room, scene] = Counter(kinds.values())
        for receptacle, kind in kinds.items():
            openable[kind][(receptacle,) in facts.get("openable", ())] += 1
        for outer, inner in facts["cancontain"]:
            contents[proper[outer.removesuffix("type")]].add(proper[inner.removesuffix("type")])
        for name in PROPERTIES:
            for (thing,) in facts.get(name, ()):
                if thing in things:  # pieces of an egg or a mug have properties and no type
                    properties[things[thing]].add(name)
        lying = {thing for thing, _ in facts["inreceptacle"] if thing in things}
        for kind, number in Counter(things[thing] for thing in lying).items():
            objects[room][kind][number] += 1
        for thing, receptacle in facts["inreceptacle"]:
            if thing in things:
                holders[room][things[thing]][kinds[receptacle]] += 1
        params = trial["pddl_params"]
        goals[task.type][room, params["object_target"], params["parent_target"] or params["toggle_target"]] += 1

    return {
        "receptacles": {room: _receptacles(scenes, room) for room in sorted(played)},
        "openable": {kind: round(c[True] / c.total(), 3) for kind, c in sorted(openable.items()) if c[True]},
        "objects": {room: _objects(objects[room], played[room]) for room in sorted(played)},
        "holders": {room: {kind: _sorted(c) for kind, c in sorted(holders[room].items())} for room in sorted(played)},
        "properties": {kind: sorted(names) for kind, names in sorted(properties.items())},
        "can_contain": {kind: sorted(inner) for kind, inner in sorted(contents.items())},
        "goals": {kind: [[*goal, number] for goal, number in sorted(c.items())] for kind, c in sorted(goals.items())},
    }


def _kinds(facts: Facts, name: str, proper: dict[str, str]) -> dict[str, str]:
    return {entity: proper[kind.removesuffix("type")] for entity, kind in facts[name]}


def _receptacles(scenes: dict[tuple[str, int], Counter[str]], room: str) -> Tables:
    here = [counts for (where, _), counts in scenes.items() if where == room]
    return {kind: _sorted(Counter(counts[kind] for counts in here)) for kind in sorted(set().union(*here))}


def _objects(kinds: dict[str, Counter[int]], played: int) -> Tables:
    return {kind: _sorted(Counter({0: played - counts.total()}) + counts) for kind, counts in sorted(kinds.items())}


def _sorted(counts: Counter[Any]) -> Tables:
    return {str(key): counts[key] for key in sorted(counts)}


if __name__ == "__main__":
    lines = [f"{json.dumps(key)}: {json.dumps(value, separators=(',', ':'))}" for key, value in count(Path(sys.argv[1])).items()]
    FILE.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")
