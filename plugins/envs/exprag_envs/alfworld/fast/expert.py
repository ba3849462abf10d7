"""The hand-coded expert of ALFWorld: an explorer that remembers what it saw, and gives up after 100 turns.

The same policy as `alfworld.agents.expert` (its text-world half) over our own state: given the same random choices it
plays the same actions, and it stalls where that one stalls. What looks odd here is what the package does: for example, it
matches words by their beginning ("take pen" sees a pencil).

One oddity decides games: the package expects the word "put" for a drop, which the game calls "move". So its expert keeps
believing that it carries the first thing it ever took, and loses every other game with two objects. `Expert(…,
heeds_moves=True)` is the policy as it was meant.
"""

from __future__ import annotations

import random
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from exprag.errors import EnvError
from exprag_envs.alfworld.fast.world import State

MAX_TURNS = 100  # by then it has won, or walks in circles

# Classes that it believes to have a door, and classes that it takes for places to go to (some are crockery).
_DOORED = {"box", "cabinet", "drawer", "fridge", "microwave", "safe"}
_PLACES = {
    "armchair", "bathtubbasin", "bed", "bowl", "box", "cabinet", "cart", "coffeemachine", "coffeetable", "countertop", "cup",
    "desk", "diningtable", "drawer", "dresser", "fridge", "garbagecan", "handtowelholder", "laundryhamper", "microwave",
    "mug", "ottoman", "paintinghanger", "pan", "plate", "pot", "safe", "shelf", "sidetable", "sinkbasin", "sofa",
    "stoveburner", "tvstand", "toaster", "toilet", "toiletpaperhanger", "towelholder",
}  # fmt: skip

# How an object is treated on the way: verb, station, and the fact that says it is done.
TREATMENTS = {
    "pick_clean_then_place_in_recep": ("clean", "sinkbasin", "isclean"),
    "pick_heat_then_place_in_recep": ("heat", "microwave", "ishot"),
    "pick_cool_then_place_in_recep": ("cool", "fridge", "iscool"),
}
TASK_TYPES = (*TREATMENTS, "pick_and_place_simple", "pick_two_obj_and_place", "look_at_obj_in_light")

_DIGITS = re.compile(r"\d")


@dataclass(frozen=True)
class Goal:
    """What the expert knows of its task, in lower case: the object, where it goes, and the lamp to see it by."""

    task_type: str
    target: str
    parent: str
    lamp: str

    @classmethod
    def from_params(cls, params: Mapping[str, Any]) -> Goal:
        """From `task_type` and ALFRED's pddl_params. Raises EnvError where the expert has no policy for them."""
        if params.get("task_type") not in TASK_TYPES:
            raise EnvError(f"The expert has no policy for task type {params.get('task_type')!r}; it has {TASK_TYPES}.")
        words = [str(params.get(f"{slot}_target") or "").lower() for slot in ("object", "parent", "toggle")]
        needed = words[2] if params["task_type"] == "look_at_obj_in_light" else words[1]
        if not (words[0] and needed):
            raise EnvError(f"The expert lacks parameters of a {params['task_type']!r} task: {dict(params)}.")
        return cls(params["task_type"], *words)


class Expert:
    """One episode of the policy. `act` is called once before every action."""

    def __init__(self, goal: Goal, seed: int, *, heeds_moves: bool = False) -> None:
        self.goal = goal
        self._heeds_moves = heeds_moves
        self._random = random.Random(seed)
        self._turns = 0
        self._receptacles: dict[str, str] = {}  # name → class, in the order of the opening text
        self._visible: dict[str, str] = {}  # the same of the objects last seen
        self._whereabouts: dict[str, str] = {}  # class → where one was last seen
        self._notes: dict[str, str] = {}  # receptacle → what was read there
        self._here = ""
        self._looked_inside = False
        self._to_check: list[str] = []
        self._to_close: list[str] = []
        self._hands: list[str] = []
        self._source = ""
        self._delivered: set[str] = set()  # at the goal already: not to be taken again

    def act(self, last: str, observation: str, state: State, admissible: list[str]) -> str | None:
        """The next action after command `last` ("" at the start) led to `observation`; None when it gives up."""
        if not last:
            self._observe(observation)
            return "look"
        self._turns += 1
        if self._turns > MAX_TURNS:
            return None
        self._note(last, observation)
        self._observe(observation)
        action = self._decide(last, observation, state, admissible)
        if action is None:
            return None
        if action == last or (last == "look" and action not in admissible):
            action = self._random.choice(admissible)
        return action if action in admissible else "look"

    def _note(self, last: str, observation: str) -> None:
        """What the last command did to where it is and what it carries."""
        if "go to" in last:
            self._here = last.replace("go to", "").strip()
            if self._here in self._to_check:
                self._to_check.remove(self._here)
            self._looked_inside = self._receptacles.get(self._here) not in _DOORED or "open" in observation
        if "Nothing happens" in observation:
            return
        if "open" in last:
            if last == f"open {self._here}":
                self._looked_inside = True
                self._to_close.append(f"close {self._here}")
        elif "close" in last:
            if last == f"close {self._here}" and last in self._to_close:
                self._to_close.remove(last)
        elif "take" in last:
            thing = " ".join(last.split()[1:3])
            self._hands.append(thing)
            self._source = " ".join(last.split()[-2:])
            self._forget(thing)
        elif self._heeds_moves and "move" in last and self._hands:
            thing = self._hands.pop()
            self._source = ""
            self._forget(thing)
            if self.goal.parent in last:
                self._delivered.add(thing)

    def _forget(self, thing: str) -> None:
        """It is no longer where it was."""
        self._whereabouts.pop(_kind(thing), None)
        self._visible.pop(thing, None)
        if self._here in self._notes:
            self._notes[self._here] = self._notes[self._here].replace(thing, "")

    def _observe(self, observation: str) -> None:
        """Remember what a text lists, and where that is."""
        if "Welcome" in observation:
            self._receptacles = _entities(observation)
        elif "you see nothing" in observation:
            self._visible = {}
        elif "you see" in observation:
            if "You open the" in observation:
                words = observation.split("You open the", 1)[1].split()[:2]
            elif "is open." in observation:
                words = observation.split("is open.", 1)[0].split()[-2:]
            else:
                words = observation.split("On the", 1)[-1].split()[:2]
            place = " ".join(words).strip(",.")
            self._visible = {name: kind for name, kind in _entities(observation).items() if name not in self._delivered}
            self._notes[place] = observation
            self._whereabouts.update(dict.fromkeys(self._visible.values(), place))

    def _decide(self, last: str, observation: str, state: State, admissible: list[str]) -> str | None:
        holding = any(_kind(state.world.name[thing]) == self.goal.target for thing in state.held())
        verb, target_kind = self._stage(state, admissible, holding)
        matching = [name for name, kind in self._visible.items() if kind == target_kind]
        if target_kind == "sinkbasin" and not any("sinkbasin" in kind for kind in self._receptacles.values()):
            target_kind = "bathtubbasin"
        closed = "closed" in observation and not self._looked_inside
        misled = bool(self._hands) and not holding  # it believes to carry something else than its target

        if verb == "find":
            arrived = self._whereabouts.get(target_kind) == self._here or self._receptacles.get(self._here) == target_kind
            if not (matching or (arrived and self._looked_inside and not misled)):
                return self._search(target_kind, last, closed, misled, state)
            self._to_close = []
        self._to_check = []

        if verb == "goto":
            places = [name for name, kind in self._receptacles.items() if kind == target_kind]
            return f"go to {places[0]}" if places else None
        if verb == "take":
            if closed and not self._visible:
                return f"open {self._here}"
            if not any(target_kind in name for name in self._visible):
                return f"examine {self._here}"
            return f"take {self._random.choice(matching)} from {self._here}" if matching else None
        if verb == "put" and closed:
            return f"open {self._here}"
        if verb == "put":
            return f"move {self._hands[0]} to {self._here}" if self._hands else None
        if verb in ("clean", "heat", "cool"):
            return f"{verb} {self._hands[0]} with {self._here}" if self._hands else None
        if verb == "use":
            if not self._visible:
                return f"examine {self._here}"
            return f"use {self._random.choice(matching)}" if matching else None
        if misled:
            return self._bring_back()
        return f"{'open' if 'closed' in observation else 'examine'} {self._here}"

    def _stage(self, state: State, admissible: list[str], holding: bool) -> tuple[str, str]:
        """How far the task is, as what to do next and with which class."""
        goal, forms = self.goal, [" ".join(_DIGITS.sub("", command).split()) for command in admissible]
        if holding:
            if goal.task_type == "look_at_obj_in_light":
                return "use" if f"use {goal.lamp}" in forms else "find", goal.lamp
            if goal.task_type in TREATMENTS:
                verb, station, fact = TREATMENTS[goal.task_type]
                treated = bool(self._hands) and (state.world.id.get(self._hands[0]),) in state.facts[fact]
                if not treated and f"{verb} {goal.target} with {station}" in forms:
                    return verb, goal.target
                if not treated:
                    return "goto", station
            ready = goal.parent in self._here and f"move {goal.target} to {goal.parent}" in forms
            return "put" if ready else "find", goal.parent
        note = self._notes.get(self._here, "")
        takeable = any(form.startswith(f"take {goal.target}") for form in forms)
        if takeable and "you see" in note and f" {goal.target} " in note and not self._is_placed_one(state, admissible):
            return "take", goal.target
        return "find", goal.target

    def _is_placed_one(self, state: State, admissible: list[str]) -> bool:
        """Of two to be placed, one is, and taking would (by its name) take that one again."""
        if self.goal.task_type != "pick_two_obj_and_place":
            return False
        name = state.world.name
        inside = [(name[thing], _kind(name[where])) for thing, where in sorted(state.facts["inreceptacle"])]
        targets = [(thing, kind) for thing, kind in inside if _kind(thing) == self.goal.target]
        first = next((thing for thing, kind in targets if kind.startswith(self.goal.parent)), "")
        exactly = any(kind == self.goal.parent for _, kind in targets)
        return exactly and any(f"take {first}" in command for command in admissible)

    def _search(self, target_kind: str, last: str, closed: bool, misled: bool, state: State) -> str | None:
        """One more step of looking for a class: where it was seen, else in receptacles from the likely to the rest."""
        if target_kind in self._whereabouts:
            self._to_check = [self._whereabouts[target_kind]]
        elif not self._to_check:
            if target_kind in _PLACES:
                likely = [name for name, kind in self._receptacles.items() if kind == target_kind]
                self._to_check = likely or list(self._receptacles)
            else:
                fits = state.world.facts.get("cancontain", frozenset())
                likely = [name for name, kind in self._receptacles.items() if (f"{kind}type", f"{target_kind}type") in fits]
                self._to_check = [name for name in self._receptacles if name not in likely] + likely
        if self._looked_inside and self._here in self._to_check:
            self._to_check.remove(self._here)
        if misled:
            return self._bring_back()
        if target_kind not in self._whereabouts and closed and last.split()[:1] not in (["heat"], ["cool"], ["clean"], ["slice"]):
            return f"open {self._here}"
        if self._to_close:
            return self._to_close.pop()
        return f"go to {self._to_check[-1]}" if self._to_check else None

    def _bring_back(self) -> str:
        if self._here == self._source:
            return f"move {self._hands[0]} to {self._source}"
        return f"go to {self._source}"


def _kind(name: str) -> str:
    return name.split(" ")[0]


def _entities(observation: str) -> dict[str, str]:
    """The names that a text lists after its last "you see", each with its class."""
    tail = re.split("you see", observation, flags=re.IGNORECASE)[-1]
    names = tail.replace(" and a ", "").replace(" a ", "").split("Your task is to", 1)[0].strip(".,\n\r")
    return {name: _kind(name) for name in names.split(",")}
