"""Grounding: what a value of a recalled action is in the present episode, and where."""

from __future__ import annotations

from dataclasses import dataclass
from difflib import SequenceMatcher

from exprag_models.case_based.cases import Case, CaseStep
from exprag_models.case_based.search import Intent, Search
from exprag_models.case_based.text import has_number, kind, lines, mentions, numbered, phrases

EMPTY = Case("unknown", "", ())


@dataclass
class Found:
    """A value to use now. `place`: where the thing lies; None where it is carried along, or nothing tells."""

    value: str
    place: str | None = None


class Grounding(Search):
    """Grounds the values of one case at a time. A value is, in this order: what it was bound to before; a thing that an
    earlier step got hold of; a thing seen; a thing that plays its part; a thing to be searched for."""

    def use(self, case: Case) -> None:
        self.case = case
        self.at = 0  # the step of the plan that is due
        self.bound: dict[str, str] = {}  # recalled value → present value, of steps that worked
        self.steps_done: set[int] = set()  # steps that worked
        self.sites: dict[str, str] = {}  # recalled place → present place
        self.lost: set[str] = set()  # names looked for in vain
        self.stand_ins: dict[str, str] = {}  # recalled name → what plays its part
        self.goal = ""

    def is_place(self, old: str) -> bool:
        """Whether a recalled value names a place that one goes to ("shelf 3")."""
        return has_number(old) and bool({kind(old), kind(self.analogy.carry(old))} & self.world.kinds)

    def ground(self, old: str, core: str, step: CaseStep, in_use: set[str]) -> Found | Intent | None:
        """What a recalled value is now; or an action to find it; None if it is not to be had."""
        if old in self.bound:
            return Found(self.bound[old])
        if has_number(old) and (self.world.kinds or has_number(core)) and " " not in kind(old):
            return self._ground_numbered(old, step, in_use)
        essential = self.analogy.changes(old)  # the instruction itself names another thing
        if essential and not self.analogy.changes(core):
            core = self.analogy.key(old)
        inventory = self._held(core)
        if inventory is False:
            return None
        if inventory or not core:
            return Found(self.carry(old))
        self._keep_company(core, step)
        return self._look_for(old, core, step, essential)

    def _look_for(self, old: str, core: str, step: CaseStep, essential: bool) -> Found | Intent | None:
        world, now, site = self.world, self.analogy.carry(core), self.site(step, self.sites)
        place = world.where(now)
        if place is None and essential:  # it may be there in another state
            place = world.where(self.analogy.carry(self.analogy.key(old)))
        elsewhere = place is None or (essential and not world.alone(now, place))
        if elsewhere and site not in world.visited and (going := self.go(site)):
            return going
        if place is not None:
            return Found(self.carry(old), place)
        if site not in world.looked and self.looks and (going := self.go(site)):
            return going
        if looking := self.look_if_new():
            return looking
        essential = essential or mentions(self.analogy.now, now)  # nothing stands in for what the instruction names
        if not essential and self._stand_in(core, now, step):
            return Found(self.carry(old), world.place)
        if now not in self.lost and (looking := self.search(now, site)):
            return looking
        self.lost.add(now)
        return None if essential else Found(self.carry(old), site)

    def _ground_numbered(self, old: str, step: CaseStep, in_use: set[str]) -> Found | Intent | None:
        """Any thing of the sort that no other value has taken."""
        world, now = self.world, self.analogy.carry(old)
        for place in world.places():
            names = [n for n in numbered(world.texts[place]) if kind(n) == kind(now) and n not in in_use]
            if names:
                return Found(now if now in names else names[0], place)
        return self.search(kind(now), self.site(step, self.sites))

    def carry(self, old: str) -> str:
        """A recalled value in the words of now: what is bound already, then the analogy."""
        for then, now in self.bound.items():
            if then != old and len(then) > 2 and f" {then} " in f" {old} ":
                old = f" {old} ".replace(f" {then} ", f" {now} ").strip()
        return self.analogy.carry(old)

    def _held(self, core: str) -> bool | None:
        """Whether an earlier step got hold of a thing (True), failed to (False), or had nothing to do with it (None)."""
        verdict, mine = None, set(core.split())
        for index, earlier in enumerate(self.case.plan[: self.at]):
            for other in (set(name.split()) for name in earlier.cores if name):
                if mine and (other <= mine or mine <= other):
                    verdict = index in self.steps_done or bool(verdict)
        return verdict

    def _keep_company(self, core: str, step: CaseStep) -> None:
        """A numbered thing told of together with a thing of ours is the one told of together with it now."""
        if not has_number(core) or core in self.analogy.pairs:
            return
        then = next((line for line in lines(step.scene) if mentions(line, core)), "")
        ours = {name for earlier in self.case.plan[: self.at] for name in earlier.cores if name and mentions(then, name)} - {core}
        for line in lines(self.world.texts.get(self.world.place, "")) if ours else ():
            same_kind = [name for name in phrases(line) if kind(name) == kind(core)]
            if same_kind and any(mentions(line, self.analogy.carry(name)) for name in ours):
                self.analogy.add(core, same_kind[0])

    def _stand_in(self, core: str, now: str, step: CaseStep) -> bool:
        """Something here that is most like what is missing plays its part from now on; whether there is such a thing."""
        phrase = next((p for p in phrases(self.case.texts.get(step.place, "")) if mentions(p, core)), core)
        best = self._understudy(step, core) or self._likeness(phrase, core, step)
        if best:
            self.analogy.align(phrase, best)
            if self.analogy.carry(core) == now:
                self.analogy.add(core, best)
            self.stand_ins[core] = best
        return self.analogy.carry(core) != now

    def _understudy(self, step: CaseStep, core: str) -> str:
        """What another recalled episode used in the same kind of step, if it is here and has no other part to play."""
        slot = step.cores.index(core) if core in step.cores else 0
        mine = self._cast()
        for case in self.world.cases:
            for each in case.plan if case is not self.case else ():
                name = each.cores[slot] if each.act.template == step.act.template else ""
                if name and name not in mine and self.world.alone(name, self.world.place):
                    return name
        return ""

    def _cast(self) -> set[str]:
        """The present names that have a part in the plan."""
        return {self.analogy.carry(name) for each in self.case.plan for name in each.cores if name}

    def _likeness(self, phrase: str, core: str, step: CaseStep) -> str:
        """The thing here that is most like a missing one: of the same head word, or new here where things come and go."""
        then = list(self.case.texts.values())
        cast = self._cast()
        others = [case.texts[step.place] for case in self.world.cases if case is not self.case and step.place in case.texts]
        comes_and_goes = not others or not all(mentions(text, core) for text in others)
        best, likeness, new = "", 0.0, []
        for name in phrases(self.world.texts.get(self.world.place, "")):
            if len(name) < 3 or any(mentions(name, other) for other in cast):
                continue
            same_head = name.split()[-1] == phrase.split()[-1]
            if fresh := not any(mentions(text, name) for text in then):
                new.append(name)
            score = SequenceMatcher(None, phrase, name).ratio() + same_head + 0.5 * fresh
            if (same_head or (fresh and comes_and_goes)) and score > likeness:
                best, likeness = name, score
        return best or (new[0] if len(new) == 1 else "")

    def other_names(self, core: str, value: str) -> list[str]:
        """Other names for a refused value, shorter ones; where the instruction names the thing, only such as still do."""
        names, shorter = [self.stand_ins[core]] if core in self.stand_ins else [], value
        for link in (" in ", " containing "):
            while link in shorter:
                shorter = shorter.rpartition(link)[0]
                names.append(shorter)
        if core and not self.analogy.changes(core):
            names.append(self.analogy.carry(core))
        named = [now for now in self.analogy.changed_now if mentions(value, now)]
        return [name for name in names if not named or any(mentions(name, now) for now in named)]
