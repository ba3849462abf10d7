"""Without a case, but with hints: follows a course of forms, finding what they speak of on the way.

Two kinds of places are understood: numbered ones that one goes to ("shelf 3"), and pages whose names are marked
("[button] Buy Now [button_]"). What neither the hints nor the task nor the observations name is not known.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from exprag.contracts.templates import SLOT, fill
from exprag_models.case_based.cases import GOING
from exprag_models.case_based.rules import Form, Part, Rules
from exprag_models.case_based.text import closed, kind, mentions, numbered, plain, refuses, words

TAKING = {"take", "get", "pick", "grab"}
RELEASING = {"move", "put", "place", "drop", "insert"}
SEARCHING = {"search", "find", "query", "type", "ask"}
PATIENCE = 3  # refusals of a form before it is left out
_MARK = re.compile(r"\[([a-z ]+)\] (.+?) \[\1_\]")


@dataclass(frozen=True)
class Mark:
    """A name that a page marks, with the text between it and the next."""

    name: str
    about: str


class Guided:
    """A fold over the episode, as the player is: `see` an observation, `act`, be told by `took` what was really done."""

    def __init__(self, instruction: str, templates: tuple[str, ...], rules: Rules) -> None:
        self.instruction = instruction
        self.rules = rules
        forms = (t for t in templates if GOING.intersection(t.lower().split()[:1]) and len(SLOT.findall(t)) == 1)
        self.going = next(forms, "")
        self.course, self.at, self.refusals = 0, 0, 0
        self.here, self.text, self.action = "", "", ""
        self.places: dict[str, None] = {}  # places heard of, in order
        self.sights: dict[str, str] = {}  # place → what was last seen there
        self.finished: set[str] = set()  # things that have been put where they belong, and names that were clicked
        self.refused: set[str] = set()
        self.held = ""
        self._last = ""  # the action that was chosen last
        self._thing_in_use = ""  # what it was about

    @property
    def form(self) -> Form | None:
        """The form to do next; None where the courses are through."""
        courses = self.rules.courses
        while self.course < len(courses) and self.at >= len(courses[self.course]):
            self.course, self.at = self.course + 1, 0
        return courses[self.course][self.at] if self.course < len(courses) else None

    def see(self, text: str) -> None:
        action, self.action, failed = self.action, "", refuses(text) or text.strip() == "Nothing happens."
        if not self.text:
            self.places.update(dict.fromkeys(numbered(text)))
        self.text = text
        if action.startswith("!"):
            self._learn(action[1:], failed)
        elif action:
            self.here = action  # where going there changes nothing, one is there already: it stands beside the last place
        if self.here and not (failed and action):
            self.sights[self.here] = f"{self.sights.get(self.here, '') if action.startswith('!') else ''}\n{text}"

    def took(self, action: str) -> None:
        """Another action was played than the one that was chosen: nothing is learnt from it."""
        if action != self._last:
            self.action = ""

    def act(self) -> str | None:
        """The next action; None where the hints have nothing more to say."""
        self._last = ""
        while (form := self.form) is not None:
            action = (self._in_places(form) if self.going and self.places else self._on_page(form)) if self._patient() else None
            if action is not None:
                self._last = action
                return action
            self._advance()
        return None

    # what happened

    def _learn(self, action: str, failed: bool) -> None:
        form = self.form
        if form is None or action == "open":
            return
        if failed:
            self.refusals += 1
            self.refused.add(action)
            return
        thing = self._thing_in_use
        if form.verb in TAKING:
            self.held = thing
        elif form.verb in RELEASING:
            self.finished.add(thing)
            self.held = ""
        if self.going and self.places:
            self._advance()

    def _advance(self) -> None:
        self.at, self.refusals = self.at + 1, 0

    def _patient(self) -> bool:
        return self.refusals < PATIENCE

    # numbered places

    def _in_places(self, form: Form) -> str | None:
        slot = SLOT.findall(self.going)[0]
        things = [part for part in form.parts if part.slot != slot]
        where = next((part for part in form.parts if part.slot == slot), None)
        thing, place = "", ""
        if things:
            in_hand = self.held and form.verb not in TAKING and f"{self.held}@{self.here}" not in self.refused
            thing = self.held if in_hand else self._thing(things[0])
            if not thing:
                return self._search(things[0])
            place = self.here if thing == self.held else self._where(thing)
        if where is not None and (where.word or where.named):
            options = [name for name in self.places if self._fits(where, name) and f"{thing}@{name}" not in self.refused]
            place = self.here if self.here in options else next(iter(options), "")
        if not place:
            return None
        if place != self.here:
            return self._go(place)
        if closed(self.sights.get(place, ""), place) and f"open {place}" not in self.refused:
            return self._open(place)
        self._thing_in_use = thing
        self.action = f"!{thing}@{place}"
        return fill(form.template, [place if part.slot == slot else thing for part in form.parts])

    def _thing(self, part: Part) -> str:
        """A thing that was seen and fits; the one here first."""
        order = [self.here, *(place for place in self.sights if place != self.here)]
        names = (name for place in order for name in numbered(self.sights.get(place, "")))
        fits = (n for n in names if n not in self.places and n not in self.finished and n != self.held and self._fits(part, n))
        return next((name for name in fits if f"{name}@{self._where(name)}" not in self.refused), "")

    def _fits(self, part: Part, name: str) -> bool:
        return kind(name) == part.word if part.word else mentions(self.instruction, kind(name)) == part.named

    def _where(self, thing: str) -> str:
        return next((place for place in (self.here, *self.sights) if mentions(self.sights.get(place, ""), thing)), "")

    def _search(self, part: Part) -> str | None:
        """Open what is closed here, else go where nobody has been; first where a hint says."""
        if self.here and closed(self.sights.get(self.here, ""), self.here) and f"open {self.here}" not in self.refused:
            return self._open(self.here)
        sights = [place for thing, place in self.rules.sights if thing == part.word or mentions(self.instruction, thing)]
        fresh = [name for name in self.places if name not in self.sights]
        fresh.sort(key=lambda name: sights.index(kind(name)) if kind(name) in sights else len(sights))
        return self._go(fresh[0]) if fresh else None

    def _go(self, place: str) -> str:
        self.action = place
        self.sights.setdefault(place, "")
        return fill(self.going, [place])

    def _open(self, place: str) -> str:
        self.refused.add(f"open {place}")  # once
        self.action = "!open"
        return f"open {place}"

    # pages

    def _on_page(self, form: Form) -> str | None:
        if len(form.parts) != 1:
            return None
        part, marks = form.parts[0], self._marks()
        if form.verb in SEARCHING:
            value = part.word or " ".join(words(self.instruction))
        elif part.word:
            value = part.word
        elif part.named:
            value = next((mark.name for mark in marks if mentions(self.instruction, mark.name)), "")
        else:
            wishes = set(words(self.instruction))
            ranked = sorted(marks, key=lambda mark: -len(wishes & set(words(mark.about))))
            value = ranked[0].name if ranked and ranked[0].about else ""
        if not value:
            return None
        self.finished.add(plain(value))
        if not (part.named and form.verb not in SEARCHING):  # what the task names may be several things
            self._advance()
        return fill(form.template, [value])

    def _marks(self) -> list[Mark]:
        """The names that the page marks and that were not clicked yet."""
        fresh = (hit for hit in _MARK.finditer(self.text) if not hit[1].startswith("clicked"))
        hits = [hit for hit in fresh if plain(hit[2]) not in self.finished]
        ends = [hit.start() for hit in hits[1:]] + [len(self.text)]
        return [Mark(hit[2].lower(), self.text[hit.end() : end].strip()) for hit, end in zip(hits, ends, strict=True)]
