"""An expert that is easy to learn from: it searches place by place and does nothing that does not bring it further.

The hand-coded expert looks around, closes what it opened, and plays an action at random where two receptacles share a place; a
learner sees no reason for any of it. This one goes through the places where its object can lie: open ones before those with a
door, kinds of which there are few before those of which there are many, one by one. It knows what the text has told it and, as
the hand-coded one, which kinds of receptacle can hold which kinds of object.
"""

from __future__ import annotations

from collections import Counter

from exprag_envs.alfworld.fast.expert import MAX_TURNS, TREATMENTS, Goal
from exprag_envs.alfworld.fast.world import State, World


class Searcher:
    """One episode of the policy. `act` is called once before every action."""

    def __init__(self, goal: Goal) -> None:
        self.goal = goal
        self._turns = 0
        self._contents: dict[str, list[str]] = {}
        """Place → the things that the text named there."""
        self._home = ""
        """Where the object goes: with two of them, both to the same place."""
        self._treated = False

    def act(self, last: str, state: State) -> str | None:
        """The next action after command `last` ("" at the start); None when it gives up."""
        self._turns += 1
        if self._turns > MAX_TURNS:
            return None
        self._read(last, state)
        held = next((state.world.name[thing] for thing in state.held()), "")
        return self._find(self.goal.target, state) if not held else self._bring(held, state)

    def _read(self, last: str, state: State) -> None:
        """What the text said about a place after the last command."""
        place = last.removeprefix("go to ").removeprefix("open ").removeprefix("examine ")
        entity = state.world.id.get(place, "")
        if entity in state.near and state.accessible(entity):
            self._contents[place] = [state.world.name[thing] for thing in state.inside(entity)]

    def _find(self, kind: str, state: State) -> str | None:
        """A step towards holding an object of a kind, or using a lamp."""
        for place, things in self._contents.items():
            if place == self._home and self.goal.task_type == "pick_two_obj_and_place":
                continue
            for thing in things:
                if _kind(thing) == kind and kind == self.goal.lamp:
                    return self._at(place, state) or f"use {thing}"
                if _kind(thing) == kind:
                    action = self._at(place, state) or f"take {thing} from {place}"
                    if action.startswith("take "):
                        things.remove(thing)
                    return action
        place = next((place for place in self._places(kind, state.world) if place not in self._contents), "")
        if not place:
            return None
        return self._at(place, state) or f"examine {place}"

    def _bring(self, held: str, state: State) -> str | None:
        """A step towards the goal with the object in hand."""
        goal = self.goal
        if goal.task_type == "look_at_obj_in_light":
            return self._find(goal.lamp, state)
        verb, station, _ = TREATMENTS.get(goal.task_type, ("", "", ""))
        if verb and not self._treated:
            place = _first(state.world, station)
            if not place:
                return None
            action = self._at(place, state)
            self._treated = not action
            return action or f"{verb} {held} with {place}"
        self._home = self._home or _first(state.world, goal.parent)
        if not self._home:
            return None
        return self._at(self._home, state) or f"move {held} to {self._home}"

    def _at(self, place: str, state: State) -> str:
        """The way to a place and through its door; "" where it stands before it and the door is open."""
        entity = state.world.id[place]
        if entity not in state.near:
            return f"go to {place}"
        return "" if state.accessible(entity) else f"open {place}"

    def _places(self, kind: str, world: World) -> list[str]:
        """All places in the order in which they are searched for a kind of object."""
        count = Counter(_kind(world.name[entity]) for entity in world.place)
        fits = world.facts.get("cancontain", frozenset())

        def turn(place: str) -> tuple[bool, bool, int, str, int]:
            receptacle = _kind(place)
            likely = (f"{receptacle}type", f"{kind}type") in fits
            return not likely, world.openable(world.id[place]), count[receptacle], receptacle, _number(place)

        return sorted((world.name[entity] for entity in world.place), key=turn)


def _first(world: World, kind: str) -> str:
    """The place of a kind with the lowest number; "" where there is none."""
    return min((name for name in map(world.name.__getitem__, world.place) if _kind(name) == kind), key=_number, default="")


def _kind(name: str) -> str:
    return name.partition(" ")[0]


def _number(name: str) -> int:
    return int(name.partition(" ")[2] or 0)
