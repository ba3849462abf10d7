"""What is where in a game: the fixed `World` (names, receptacles, types) and the `State` of facts that actions change."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable

from exprag.errors import EnvError
from exprag_envs.alfworld.fast.goal import CHANGING, Goal
from exprag_envs.alfworld.fast.problem import Fact, Facts, Problem


class World:
    """The part of a game that no action changes. Entities go by their id in the problem; players see `name`.

    name          id → name as the game writes it ("mug 2")
    id            name → id
    place         receptacle → its location
    at            location → receptacles there, sorted
    """

    def __init__(self, problem: Problem) -> None:
        facts = problem.facts
        agents = facts.get("atlocation", set())
        if len(agents) != 1:
            raise EnvError(f"its :init part places {len(agents)} agents; one was expected.")
        ((self.agent, _),) = agents
        self.goal = Goal(problem.goal, facts)
        self.facts = {name: frozenset(facts.get(name, ())) for name in facts if name not in CHANGING}
        self.start: Facts = {name: set(facts.get(name, ())) for name in CHANGING}
        self.name = names({word for rows in facts.values() for fact in rows for word in fact})
        self.id = {name: word for word, name in self.name.items()}
        self.place: dict[str, str] = {}
        self.at: defaultdict[str, list[str]] = defaultdict(list)
        for receptacle, location in sorted(facts.get("receptacleatlocation", ())):
            if receptacle in self.place:
                raise EnvError(f"its :init part places receptacle {receptacle!r} at two locations.")
            self.place[receptacle] = location
            self.at[location].append(receptacle)
        self._types: defaultdict[str, set[str]] = defaultdict(set)
        for entity, kind in [*facts.get("receptacletype", ()), *facts.get("objecttype", ())]:
            self._types[entity].add(kind)
        self._allowed = self.facts.get("cancontain", frozenset())
        self._openable = {receptacle for (receptacle,) in facts.get("openable", ())}

    def fact(self, name: str, *words: str) -> bool:
        """Whether a fact that nothing changes is so."""
        return words in self.facts.get(name, ())

    def openable(self, receptacle: str) -> bool:
        return receptacle in self._openable

    def is_a(self, entity: str, *kinds: str) -> bool:
        """Whether an entity has one of these types ("fridgetype")."""
        return not self._types[entity].isdisjoint(kinds)

    def can_contain(self, receptacle: str, thing: str) -> bool:
        return any((outer, inner) in self._allowed for outer in self._types[receptacle] for inner in self._types[thing])


class State:
    """The facts of the moment, and which `inReceptacle` facts an action has taken away (the game speaks of those)."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.facts: Facts = {name: set(rows) for name, rows in world.start.items()}
        self.left: set[Fact] = set()

    @property
    def here(self) -> str:
        """The agent's location."""
        ((_, location),) = self.facts["atlocation"]
        return location

    @property
    def near(self) -> list[str]:
        """The receptacles where the agent stands; usually one or none."""
        return self.world.at.get(self.here, [])

    def inside(self, receptacle: str) -> list[str]:
        """What lies in or on a receptacle, in the order in which the game lists it."""
        return sorted([thing for thing, holder in self.facts["inreceptacle"] if holder == receptacle])

    def held(self) -> list[str]:
        return sorted([thing for _, thing in self.facts["holds"]])

    def accessible(self, receptacle: str) -> bool:
        """Whether its inside can be reached: it has no door, or the door is open."""
        return not self.world.openable(receptacle) or (receptacle,) in self.facts["opened"]


def names(ids: Iterable[str]) -> dict[str, str]:
    """The names of a game's entities: "mug_bar__minus_1…" is "mug 3" where it is the third from last of the mugs by id.

    A basin's id has the fixture's name in front and "basin" behind. Ids without coordinates keep their own name.
    """
    kinds = {}
    for word in sorted(ids):
        kind, bar, _ = word.partition("_bar_")
        kinds[word] = kind + "basin" * ("basin" in word) if bar else ""
    left = Counter(kinds.values())
    named = {}
    for word, kind in kinds.items():
        named[word] = f"{kind} {left[kind]}" if kind else f"{word} "
        left[kind] -= 1
    return named
