"""The sentences of the game. Every public function gives what the package's grammar derives for the same state."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from exprag.errors import EnvError
from exprag_envs.alfworld.fast.world import State, World

HELP = """Available commands:
  look:                             look around your current location
  inventory:                        check your current inventory
  go to (receptacle):               move to a receptacle
  open (receptacle):                open a receptacle
  close (receptacle):               close a receptacle
  take (object) from (receptacle):  take an object from a receptacle
  move (object) to (receptacle):  place an object in or on a receptacle
  examine (something):              examine a receptacle or an object
  use (object):                     use an object
  heat (object) with (receptacle):  heat an object using a receptacle
  clean (object) with (receptacle): clean an object using a receptacle
  cool (object) with (receptacle):  cool an object using a receptacle
  slice (object) with (object):     slice an object using a sharp object
"""

# The first of these states of an object that all hold names its look.
_LOOKS = [
    (("isclean", "ishot", "issliced"), "hot and clean sliced"),
    (("isclean", "iscool", "issliced"), "cool and clean sliced"),
    (("isclean", "issliced"), "clean sliced"),
    (("ishot", "issliced"), "hot sliced"),
    (("iscool", "issliced"), "cool sliced"),
    (("isclean", "ishot"), "hot and clean"),
    (("isclean", "iscool"), "cool and clean"),
    (("ishot",), "hot"),
    (("isclean",), "clean"),
    (("iscool",), "cold"),
]

_TASK = re.compile(r'"task"\s*:\s*\[\s*\{\s*"rhs"\s*:\s*("(?:[^"\\]|\\.)*")')
# What the package's grammar engine reads of a line of text: up to the first mark of its own syntax, quotes dropped.
_READABLE = re.compile(r'(?:"[^;|"<>\[\]#{}]*"|[^;|"<>\[\]#{}]+)*')
_PUT = re.compile(r'action\s+PutObject\s*\{\s*template\s*::\s*"([^"]*)"')


def task_line(game: Mapping[str, Any]) -> str:
    """The "Your task is to: …" of a game's grammar (or of `task`: generated games have no grammar).

    Raises EnvError where it is missing or the grammar speaks another wording.
    """
    grammar = game.get("grammar")
    if grammar is None and isinstance(game.get("task"), str):
        return f"Your task is to: {game['task']}"
    if not isinstance(grammar, str) or not grammar.strip():
        raise EnvError("its grammar is missing or empty.")
    put = _PUT.search(grammar)
    if put is None or put[1] != "move {o} to {r}":
        raise EnvError(
            f"its grammar's action PutObject reads {put[1] if put else None!r}, and 'move {{o}} to {{r}}' was expected.",
            cure="It is a game of another release: play it with engine='alfworld', or download release 2.1.2.",
        )
    task = _TASK.search(grammar)
    if task is None:
        raise EnvError('its grammar has no "task" rule with an "rhs".')
    try:
        line = json.loads(task[1], strict=False)
    except ValueError as error:
        raise EnvError(f'the "task" rule of its grammar is not JSON: {error}.') from error
    readable = _READABLE.match(line)
    return readable[0].replace('"', "") if readable else ""


def intro(world: World, task: str) -> str:
    everything = [f"a {world.name[receptacle]}" for receptacle in world.place]
    return f"-= Welcome to TextWorld, ALFRED! =-\n\n{_room(everything)}\n\n{task}"


def look(state: State) -> str:
    near = state.near
    if not near:
        return _room([])
    here, left = state.here, state.left
    lying = sorted(thing for thing, location in state.facts["objectatlocation"] if location == here)
    beside = [f"a {state.world.name[thing]}" for thing in lying for receptacle in near if (thing, receptacle) in left]
    facing = _list(state.world.name[receptacle] for receptacle in near)
    return f"You are facing the {facing}. Next to it, you see {_list(beside)}."


def inventory(state: State) -> str:
    if not state.facts["holdsany"]:
        return "You are not carrying anything."
    return f"You are carrying: {_a(state.world, state.held())}."


def receptacle(state: State, receptacle: str) -> str:
    """What is seen in or on a receptacle."""
    name = state.world.name[receptacle]
    if not state.world.openable(receptacle):
        return f"On the {name}, you see {_a(state.world, state.inside(receptacle))}."
    if not state.accessible(receptacle):
        return f"The {name} is closed."
    return f"The {name} is open. In it, you see {_a(state.world, state.inside(receptacle))}."


def thing(state: State, thing: str) -> str:
    """What is seen of an object."""
    world, name = state.world, state.world.name[thing]
    if world.fact("isreceptacleobject", thing):
        inner = sorted(inner for inner, outer in world.facts.get("inreceptacleobject", ()) if outer == thing != inner)
        return f"This is a normal {name}. In it, you see {_a(world, inner)}."
    for marks, looks in _LOOKS:
        if all((thing,) in state.facts[mark] for mark in marks):
            return f"This is a {looks} {name}."
    if world.fact("toggleable", thing) and (thing,) in state.facts["istoggled"]:
        return f"This {name} is on."
    if world.fact("sliceable", thing) and (thing,) in state.facts["issliced"]:
        return f"This is a sliced {name}."
    return f"There's nothing special about {name}."


def _room(things: list[str]) -> str:
    return f"You are in the middle of a room. Looking quickly around you, you see {_list(things)}."


def _a(world: World, things: Iterable[str]) -> str:
    return _list(f"a {world.name[thing]}" for thing in things)


def _list(words: Iterable[str]) -> str:
    *most, last = [*words] or ["nothing"]
    return f"{', '.join(most)}, and {last}" if most else last
