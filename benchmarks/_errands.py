"""Errands: play in ALFWorld's train rooms that has nothing to do with the goals of its games, to make a base model from.

An errand is drawn at random: look for an object, do nothing, one or two things with it, leave it somewhere. Its goal sentence
is drawn too, from one set of sentences for all errands, so that a sentence tells which object and which place are meant
and nothing about the action: "cool some {object} and put it in {place}" may mean to heat it and look at it. Only
the errands in the memory block show what it means this time. So a model of errands speaks the language of the rooms, can
look for things, and can imitate its memory; it cannot know what the games mean by their goals.
"""

from __future__ import annotations

import random
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from exprag.contracts.environment import TextEnvironment
from exprag.trajectory import Step, Task, Trajectory

# ALFWorld's own goal sentences, and some more of the same kind.
SENTENCES = (
    "put a {object} in {place}.",
    "put some {object} on {place}.",
    "put a clean {object} in {place}.",
    "clean some {object} and put it in {place}.",
    "put a hot {object} in {place}.",
    "heat some {object} and put it in {place}.",
    "put a cool {object} in {place}.",
    "cool some {object} and put it in {place}.",
    "put two {object} in {place}.",
    "find two {object} and put them in {place}.",
    "look at {object} under the {place}.",
    "examine the {object} with the {place}.",
    "see to {object} and {place}.",
    "tidy {object}, {place}.",
)
STATIONS = {"clean": ("sinkbasin", "bathtubbasin"), "heat": ("microwave",), "cool": ("fridge",)}
LAMPS = ("desklamp", "floorlamp")
LIMIT = 40  # longer errands are thrown away
SLIPS = 0.06  # how often something of no use is done first

_NAME = re.compile(r"([a-z]+) (\d+)")
_GOAL = "Your task is to: "


@dataclass(frozen=True)
class Kind:
    """What is done with the object before it is left (`doing`), how it is left (put, carry, light), and how many are fetched."""

    doing: tuple[str, ...] = ()
    ending: str = "put"
    times: int = 1


@dataclass(frozen=True)
class Errand:
    """One errand that was played. `slips` are the numbers of the useless steps, which are not to be imitated."""

    kind: Kind
    object: str
    place: str
    trajectory: Trajectory
    slips: frozenset[int]

    def called(self, sentence: str, number: int) -> Trajectory:
        """Its trajectory under a name: the sentence stands in task and opening as a game's goal does."""
        original = self.trajectory
        instruction = sentence.format(object=self.object, place=self.place)
        opening = original.steps[0].observation.partition(_GOAL)[0] + _GOAL + instruction
        task = original.task.model_copy(update={"id": f"errand/{number}", "instruction": instruction})
        steps = (original.steps[0].model_copy(update={"observation": opening}), *original.steps[1:])
        return original.model_copy(update={"task": task, "steps": steps})


def draw_kind(rng: random.Random) -> Kind:
    ending = rng.choices(("put", "carry", "light"), (7, 1, 2))[0]
    if ending == "put" and rng.random() < 0.2:
        return Kind(times=2)
    doing = rng.sample(("clean", "heat", "cool", "examine", "inventory"), rng.choices((0, 1, 2), (4, 5, 1))[0])
    return Kind(tuple(doing), ending)


@dataclass
class Room:
    """A game that is being walked through: which things lie where, what is carried, which places are open."""

    environment: TextEnvironment
    task: Task
    rng: random.Random
    slips_allowed: bool = True
    here: str = ""
    hand: str = ""  # the thing that is carried
    things: dict[str, list[str]] = field(default_factory=dict)  # of each place that was looked at
    open: dict[str, bool] = field(default_factory=dict)  # of places that have a door
    in_place: set[str] = field(default_factory=set)  # put where they belong
    steps: list[Step] = field(default_factory=list)
    slips: set[int] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.observation, info = self.environment.reset(options={"task": self.task}, seed=0)
        self.task = Task.from_dict(info["task"])
        self.places = [f"{kind} {number}" for kind, number in _NAME.findall(self.observation.partition(_GOAL)[0])]

    def of(self, kinds: Sequence[str]) -> list[str]:
        """The places of some kinds, the last named first."""
        return [place for place in reversed(self.places) if _kind(place) in kinds]

    def act(self, action: str) -> bool:
        """Play an action, or now and then a useless one instead. True if the action itself was played and understood."""
        if self.slips_allowed and self.rng.random() < SLIPS:
            self.slips.add(len(self.steps))
            near = [f"examine {self.here}", f"take {self.rng.choice(_ANYTHING)} 1 from {self.here}"] if self.here else []
            beyond = f"go to {_after(self.here)}"  # a learner goes there again and again
            near += [beyond] * 4 if self.here and beyond not in (self.environment.admissible_actions() or ()) else []
            away = [f"go to {place}" for place in self.rng.sample(self.places, min(3, len(self.places)))]
            self._play(self.rng.choice(["look", "inventory", *near, *away]))
            return False
        return self._play(action)

    def _play(self, action: str) -> bool:
        before = self.observation
        self.observation, _, _, _, info = self.environment.step(action)
        self.steps.append(Step(observation=before, action=action, valid=info["valid"]))
        if not info["valid"]:
            return False
        verb, *words = action.split()
        if verb == "go":
            self.here = " ".join(words[1:])
        if verb in ("open", "close"):
            self.open[self.here] = verb == "open"
        if verb == "take":
            self.hand = " ".join(words[:2])
            self.things[self.here].remove(self.hand)
        if verb == "move":
            self.things.setdefault(self.here, []).append(self.hand)
            self.in_place.add(self.hand)
            self.hand = ""
        if "closed" in self.observation:
            self.open[self.here] = False
        elif self.here and verb in ("go", "open") and "you see" in self.observation:
            listing = self.observation.rpartition("you see")[2]
            self.things[self.here] = [f"{kind} {number}" for kind, number in _NAME.findall(listing)]
            if verb == "go" and "is open" in self.observation:
                self.open[self.here] = True
        return True


_ANYTHING = ("pen", "mug", "apple", "book", "plate")


def play(room: Room, kind: Kind, thing: str, place: str, likely: frozenset[str]) -> Errand | None:
    """Play an errand by looking for things as a stranger must, the likely kinds of places first; None where it cannot be done."""
    for _ in range(kind.times):
        if not _fetch(room, thing, likely):
            return None
        for verb in kind.doing:
            if not _do(room, verb):
                return None
        if kind.ending == "light":
            if not _light(room, place, likely):
                return None
        elif not _leave(room, place, put=kind.ending == "put"):
            return None
    task = room.task.model_copy(update={"type": "errand"})
    trajectory = Trajectory(task=task, steps=tuple(room.steps), final_observation=room.observation, success=True)
    return Errand(kind, thing, place, trajectory, frozenset(room.slips))


def _fetch(room: Room, thing: str, likely: frozenset[str]) -> bool:
    while len(room.steps) < LIMIT:
        pairs = _places_of(room, thing)
        if pairs and pairs[0][0] == room.here and room.open.get(room.here, True):
            if room.act(f"take {pairs[0][1]} from {room.here}"):
                return True
        elif not _search(room, [pairs[0][0]] if pairs else [], likely):
            return False
    return False


def _places_of(room: Room, kind: str) -> list[tuple[str, str]]:
    """(place, name) of the things of a kind that were seen and are not in place yet; those here come first."""
    pairs = [(place, name) for place, names in room.things.items() for name in names if _kind(name) == kind]
    return sorted((pair for pair in pairs if pair[1] not in room.in_place), key=lambda pair: pair[0] != room.here)


def _search(room: Room, places: list[str], likely: frozenset[str]) -> bool:
    """One step nearer to one of the places; without any, to the next place that was not looked at."""
    new = [place for place in reversed(room.places) if place not in room.things]
    new.sort(key=lambda place: _kind(place) not in likely)
    goals = places or new
    if not goals:
        return False
    if room.here in goals and not room.open.get(room.here, True):
        room.act(f"open {room.here}")
    elif room.open.get(room.here) and _kind(room.here) not in ("fridge", "microwave"):
        room.act(f"close {room.here}")
    else:
        room.act(f"go to {goals[0]}")
    return True


def _reach(room: Room, places: list[str]) -> bool:
    while places and room.here not in places:
        if len(room.steps) >= LIMIT:
            return False
        room.act(f"go to {places[0]}")
    return bool(places)


def _do(room: Room, verb: str) -> bool:
    if verb == "inventory":
        return room._play(verb)
    if verb == "examine":
        return room._play(f"examine {room.hand}")
    while len(room.steps) < LIMIT:
        if not _reach(room, room.of(STATIONS[verb])):
            return False
        action = f"{verb} {room.hand} with {room.here}"
        if action not in (room.environment.admissible_actions() or ()):
            return False
        if room.act(action):
            return True
    return False


def _leave(room: Room, place: str, *, put: bool) -> bool:
    while len(room.steps) < LIMIT:
        if not _reach(room, room.of([place])):
            return False
        if not put:
            return True
        if not room.open.get(room.here, True):
            room.act(f"open {room.here}")
            continue
        action = f"move {room.hand} to {room.here}"
        if action not in (room.environment.admissible_actions() or ()):
            return False
        if room.act(action):
            return True
    return False


def _light(room: Room, lamp: str, likely: frozenset[str]) -> bool:
    while len(room.steps) < LIMIT:
        pairs = _places_of(room, lamp)
        if pairs and pairs[0][0] == room.here and room.open.get(room.here, True):
            if room.act(f"use {pairs[0][1]}"):
                return True
        elif not _search(room, [pairs[0][0]] if pairs else [], likely):
            return False
    return False


def scout(environment: TextEnvironment, task: Task) -> dict[str, list[str]]:
    """What lies where in a game's room, found by looking everywhere."""
    room = Room(environment, task, random.Random(0), slips_allowed=False)
    for place in room.places:
        room._play(f"go to {place}")
        if not room.open.get(room.here, True):
            room._play(f"open {room.here}")
    return room.things


def errands(environment: TextEnvironment, tasks: Sequence[Task], per_room: int, seed: int) -> Iterator[list[Errand]]:
    """The errands of each task's room, room by room."""
    rng = random.Random(seed)
    rooms = {task.id: scout(environment, task) for task in tasks}
    holders: dict[str, set[str]] = defaultdict(set)
    for contents in rooms.values():
        for place, names in contents.items():
            for name in names:
                holders[_kind(name)].add(_kind(place))
    for task in tasks:
        batch: list[Errand] = []
        counts: dict[str, int] = defaultdict(int)
        for names in rooms[task.id].values():
            for name in names:
                counts[_kind(name)] += 1
        for _ in range(4 * per_room):
            kind = draw_kind(rng)
            things = [name for name, count in counts.items() if count >= kind.times and name not in LAMPS]
            lamps = [lamp for lamp in LAMPS if lamp in counts]
            places = lamps if kind.ending == "light" else sorted({*map(_kind, rooms[task.id])})
            if things and places:
                thing, place = rng.choice(sorted(things)), rng.choice(places)
                errand = play(Room(environment, task, rng), kind, thing, place, frozenset(holders[thing]))
                if errand and len(errand.trajectory.steps) <= LIMIT:
                    batch.append(errand)
            if len(batch) == per_room:
                break
        yield batch


def _after(place: str) -> str:
    """The place that would come next, which there may not be: shelf 3 after shelf 2."""
    kind, _, number = place.partition(" ")
    return f"{kind} {int(number or 0) + 1}"


def _kind(name: str) -> str:
    return name.split(" ")[0]
