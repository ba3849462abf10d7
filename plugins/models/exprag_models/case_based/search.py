"""Finding things: going to places, opening what is closed, looking where a thing is likeliest."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from exprag.contracts.templates import fill
from exprag_models.case_based.analogy import Analogy
from exprag_models.case_based.cases import Act, Case, CaseStep, read_act
from exprag_models.case_based.text import has_number, kind, mentions, numbered, phrases, plain
from exprag_models.case_based.world import World


@dataclass
class Intent:
    """An action and what it is for: a step of the plan, going, opening, looking, answering, or nothing in particular.

    `place` is where it goes or what it opens; `bound` pairs recalled values with present ones.
    """

    action: str
    aim: str  # step, go, approach, open, look, answer, idle
    place: str = ""
    bound: tuple[tuple[str, str], ...] = ()


class Search:
    """The world as far as it is seen, and the ways of seeing more of it. The recalled cases teach how one goes and looks."""

    def __init__(self, templates: tuple[str, ...], cases: list[Case]) -> None:
        self.templates = templates
        self.world = World(cases)
        self.moves = [act for case in cases for act in case.moves]
        self.approaches = list(dict.fromkeys(pattern for case in cases for pattern in case.approaches))
        recalled = [look for case in cases for look in case.looks]
        forms = [t for t in templates if "{" not in t and t.split()[:1] == ["look"]]
        self.looks = list(dict.fromkeys([*recalled, *forms]))
        self.opened: set[tuple[str, str]] = set()  # (place, what was tried to open there)
        self.goal = ""  # the place being searched next: kept until it is reached
        self.analogy = Analogy("", "")

    def look_if_new(self) -> Intent | None:
        """A look round, where the place has not been described yet."""
        if not self.looks or self.world.place in self.world.looked:
            return None
        return self.look()

    def look(self) -> Intent:
        self.world.looked.add(self.world.place)
        return Intent(self.looks[0], "look")

    def open(self, name: str) -> Intent | None:
        """Open something here, if that has not been tried."""
        if not name or (self.world.place, name) in self.opened:
            return None
        self.opened.add((self.world.place, name))
        return Intent(f"open {name}", "open", name)

    def go(self, goal: str) -> Intent | None:
        """The next action on the way to a place; None if there is no way, or it is here."""
        world = self.world
        if not goal or goal == world.place or not self.moves:
            return None
        if not has_number(goal) and not world.knows_way(goal) and (looking := self.look_if_new()):
            return looking
        hop = world.way(goal)
        if hop is None and goal not in world.visited and not has_number(goal):  # unheard of: look further
            hop = next((way for name in world.unvisited() if (way := world.way(name))), None)
        if hop is None:
            return None
        for pattern in self.approaches:
            act = read_act(pattern.replace("{}", hop), self.templates)
            thing = act.values[0] if act.values else ""
            if world.is_closed(thing) is not False and self.open(thing):
                return Intent(act.text, "approach", thing)
        return Intent(_towards(self.moves[0], hop), "go", hop)

    def search(self, name: str, site: str) -> Intent | None:
        """Look for a name where it is likeliest and nobody has looked yet, `site` first; None if nothing is left."""
        world = self.world
        if looking := self.look_if_new():
            return looking
        for thing in [world.place] if has_number(world.place) else world.closed_here():
            if world.is_closed(thing) and (opening := self.open(thing)):
                return opening
        fresh = world.unvisited()
        if self.goal in fresh:
            fresh.insert(0, self.goal)
        else:
            prior, count = self._prior(name, site), Counter(kind(n) for n in world.names)
            fresh.sort(key=lambda n: (-prior[kind(n)], count[kind(n)]) if has_number(n) else (0, 0))
            if site in fresh:
                fresh.insert(0, site)
        for place in fresh:
            if going := self.go(place):
                self.goal = place
                return going
        for place in self._untried(name, site):  # no way there is known: the recalled episodes went there all the same
            return Intent(_towards(self.moves[0], place), "go", place)
        return None

    def _untried(self, name: str, site: str) -> list[str]:
        """Named places, heard of now or in the recalled episodes, where nobody has been nor tried to go; the likeliest first."""
        world = self.world
        refused = {there for _, there in world.blocked}
        named = [n for n in dict.fromkeys([*world.names, *sorted(world.named)]) if not has_number(n)]
        places = [n for n in named if n not in world.visited and n not in refused] if self.moves else []
        prior = self._prior(name, site)
        return sorted(places, key=lambda n: -prior[kind(n)])

    def _prior(self, name: str, site: str) -> Counter[str]:
        """In how many places of a kind the name was seen, in the recalled episodes."""
        prior: Counter[str] = Counter({kind(site): 1})
        for case in self.world.cases:
            for place, text in case.texts.items():
                if mentions(text, name) or any(kind(n) == kind(name) for n in numbered(text)):
                    prior[kind(place)] += 2
        return prior

    def site(self, step: CaseStep, sites: dict[str, str]) -> str:
        """The place for a step whose values do not tell one: the instruction's, else the one that stood for it before."""
        carried = self.analogy.carry(step.place)
        if carried != step.place and any(self.analogy.changes(value) for value in step.act.values):
            return carried
        return sites.get(step.place, step.place)

    def spot(self, name: str) -> str | None:
        """A place of a numbered sort: this one, the one named, else one not yet visited, else any."""
        world, sort = self.world, kind(name)
        if kind(world.place) == sort:
            return world.place
        names = [n for n in world.names if kind(n) == sort]
        return min(names, key=lambda n: (n in world.visited, plain(n) != plain(name), names.index(n)), default=None)

    def learn_place(self, intent: Intent, text: str, failed: bool) -> None:
        """What going, looking and opening told."""
        world = self.world
        if intent.aim == "go" and failed:
            world.blocked.add((world.place, intent.place))
        elif intent.aim == "go":
            world.arrive(intent.place, text)
        elif intent.aim == "look":
            world.see(text, whole=True)
        elif intent.aim == "open" and not failed:
            world.see(text)
            self.look_again(text)

    def look_again(self, text: str) -> None:
        """Something was opened here; where that told nothing, another look may."""
        if len(phrases(text)) <= 2 and not has_number(self.world.place):
            self.world.looked.discard(self.world.place)


def _towards(example: Act, place: str) -> str:
    """The going action of an example, to another place."""
    value = plain(example.values[0]).strip()
    return fill(example.template, [value[: len(value) - len(example.place)] + place])
