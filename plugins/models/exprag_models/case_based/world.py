"""What the present episode has shown so far: places, what was seen in each, and the ways between them."""

from __future__ import annotations

import re
from collections import deque

from exprag_models.case_based.cases import Case, head_of, place_at_end, title_of, titles
from exprag_models.case_based.text import closed, has_number, kind, mentions, numbered, phrases, plain, words


class World:
    """Places are named as the going actions name them; "" is where the episode began, if nothing tells its name.

    Two ways of speaking about places are understood, both learned from the recalled episodes: numbered things that one
    may go to ("shelf 3"), and names after a leading phrase ("door to " kitchen).
    """

    def __init__(self, cases: list[Case]) -> None:
        self.cases = cases
        places = [act.place for case in cases for act in case.moves]
        self.kinds = {kind(name) for name in places if has_number(name)}
        self.named = {name for name in places if not has_number(name)}
        self.titles = tuple(dict.fromkeys(title for case in cases for title in titles(case.texts)))
        self.leads = self._leads()
        self.place = ""
        self.texts: dict[str, str] = {}  # place → what was last seen there
        self.visited: set[str] = set()
        self.looked: set[str] = set()  # places whose description is known
        self.blocked: set[tuple[str, str]] = set()
        self.names: dict[str, None] = {}  # places heard of, in order
        self.ways: dict[str, dict[str, None]] = {}
        for case in cases:
            for here, there in case.ways:
                if not has_number(there):
                    self.ways.setdefault(here, {})[there] = None
            for here, text in case.texts.items():
                if here and not has_number(here):
                    self.ways.setdefault(here, {}).update(dict.fromkeys(self.exits(text)))

    def _leads(self) -> tuple[str, ...]:
        """What stands before names of places in texts, whichever the place: "door to "."""
        names_by_lead: dict[str, set[str]] = {}
        for case in self.cases:
            for text in case.texts.values():
                for phrase in phrases(text):
                    for name in self.named:
                        if phrase.endswith(" " + name):
                            names_by_lead.setdefault(phrase[: -len(name)], set()).add(name)
        most = max((len(names) for names in names_by_lead.values()), default=0)
        return tuple(lead for lead, names in names_by_lead.items() if lead not in self.titles and 2 * len(names) > most)

    def begin(self, text: str) -> None:
        self.place = title_of(text, self.titles) or place_at_end(head_of(text), self.named)
        self.visited.add(self.place)
        self.see(text, whole=True)

    def arrive(self, place: str, text: str) -> None:
        """Going to a place worked; a text of more than an acknowledgement describes it."""
        self.ways.setdefault(self.place, {})[place] = None
        if self.place:
            self.ways.setdefault(place, {})[self.place] = None  # most ways can be gone back
        self.place = place
        self.visited.add(place)
        self.see(text, whole=has_number(place) or text.count("\n") > 1)

    def see(self, text: str, *, whole: bool = False) -> None:
        """Something was seen here; `whole`: it describes the place again."""
        old = "" if whole else self.texts.get(self.place, "")
        self.texts[self.place] = (old + "\n" + text)[-8000:]
        if whole:
            self.looked.add(self.place)
        exits = self.exits(text)
        self.names.update(dict.fromkeys(exits))
        if not has_number(self.place):
            self.ways.setdefault(self.place, {}).update(dict.fromkeys(name for name in exits if not has_number(name)))

    def exits(self, text: str) -> list[str]:
        """Names of places that a text speaks of."""
        names: dict[str, None] = {}
        if self.kinds:
            for sentence in re.split(r"\n|\. ", text):
                there = numbered(sentence)
                many = len(there) > 2 and any(kind(name) in self.kinds for name in there if name != self.place)
                names.update(dict.fromkeys(name for name in there if many or kind(name) in self.kinds))
        for sentence in re.split(r"\n|[.:;](?: |$)", text) if self.named else ():
            items = [" ".join(plain(item).split()) for item in re.split(r", (?:and |or )?| and | or ", sentence)]
            if len(self.named & set(items)) >= 2:  # a list that names two places names places
                names.update(dict.fromkeys(item for item in items if item and item != self.place))
        for phrase in phrases(text) if self.leads else ():
            names.update(dict.fromkeys(phrase[len(lead) :] for lead in self.leads if phrase.startswith(lead)))
        return list(names)

    def way(self, goal: str) -> str | None:
        """The next place on the way to a place; None where there is no way, or one is there already."""
        if goal == self.place:
            return None
        if has_number(goal) or not self.ways.get(self.place):
            return goal if (self.place, goal) not in self.blocked else None
        return self._paths().get(goal)

    def knows_way(self, goal: str) -> bool:
        return goal in self._paths()

    def _paths(self) -> dict[str, str]:
        """For every reachable place the first place on the shortest way to it, nearest first."""
        first: dict[str, str] = {}
        queue = deque([self.place])
        while queue:
            here = queue.popleft()
            for name in self.ways.get(here, ()):
                if name not in first and name != self.place and (here, name) not in self.blocked:
                    first[name] = first.get(here, name)
                    queue.append(name)
        return first

    def unvisited(self) -> list[str]:
        """Reachable places where nobody has been, nearest first; numbered ones in the order heard of."""
        near = [n for n in self._paths() if not has_number(n)]
        free = [n for n in self.names if has_number(n) and (self.place, n) not in self.blocked]
        return [n for n in dict.fromkeys([*near, *free]) if n not in self.visited]

    def closed_here(self) -> list[str]:
        """What the description of this place calls closed, ways out aside."""
        closed_lines = [line for line in self.texts.get(self.place, "").splitlines() if " closed " in plain(line)]
        return [next(iter(phrases(line)), "") for line in closed_lines if not self.exits(line)]

    def shows(self, name: str) -> bool:
        """Whether something here has all the words of a name, in any order."""
        parts = set(words(name))
        return bool(parts) and any(parts <= set(phrase.split()) for phrase in phrases(self.texts.get(self.place, "")))

    def places(self) -> list[str]:
        """Places of which something is known and to which one can go, the present one first."""
        there = [place for place in self.texts if place and place != self.place]
        return [*([self.place] if self.place in self.texts else []), *there]

    def where(self, name: str) -> str | None:
        """A place where a name was seen, the present one first; rather by itself than inside a longer name."""
        alone = next((place for place in self.places() if self.alone(name, place)), None)
        return alone if alone is not None else next((p for p in self.places() if mentions(self.texts[p], name)), None)

    def alone(self, name: str, place: str) -> bool:
        """Whether a place shows a thing of just this name."""
        return plain(name).strip() in phrases(self.texts.get(place, ""))

    def is_closed(self, name: str) -> bool | None:
        return closed(self.texts.get(self.place, ""), name)
