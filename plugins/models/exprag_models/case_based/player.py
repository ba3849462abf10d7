"""The policy: follows the plan of a case, adapts its steps, and does not insist on what fails.

A player is a fold over the episode: `see` an observation, `act`, be told by `took` what was really done. It holds nothing
that does not follow from the messages.
"""

from __future__ import annotations

from difflib import SequenceMatcher

from exprag.contracts.templates import fill
from exprag_models.case_based.analogy import Analogy
from exprag_models.case_based.blind import Blind
from exprag_models.case_based.branch import alternative_of, alternatives, other, reading, same_sight
from exprag_models.case_based.cases import Case, CaseStep, describes, read_act
from exprag_models.case_based.ground import EMPTY, Found, Grounding
from exprag_models.case_based.guided import Guided
from exprag_models.case_based.rules import read_rules
from exprag_models.case_based.search import Intent
from exprag_models.case_based.text import choices, head, kind, mentions, refuses, words

PATIENCE = 3  # refusals of a step before it is left out
ROUNDS = 2  # how often the cases are gone through
OVERTIME = 10  # how many more turns than then it waits for something to appear
_WORTH = {"successful": 0, "unknown": 1, "unsuccessful": 2}


class Player(Grounding):
    def __init__(self, instruction: str, templates: tuple[str, ...], cases: list[Case], hints: tuple[str, ...] = ()) -> None:
        ranked = [(Analogy(case.instruction, instruction), case) for case in cases if case.plan]
        ranked.sort(key=lambda item: (_WORTH.get(item[1].outcome, 1), -item[0].likeness))
        super().__init__(templates, cases)
        self.instruction = instruction
        self.ranked = ranked
        self.blind = Blind(instruction, templates)
        self.guided = Guided(instruction, templates, read_rules(hints, templates))
        self.turn = 0
        self.last = ""  # the last observation
        self.intent: Intent | None = None
        self.wish: Intent | None = None  # the last step asked for: what a question is about
        self.worked: set[str] = set()
        self.reading: float | None = None
        self.fresh_look = False
        self.round = 0
        self._begin_case()

    def _begin_case(self) -> None:
        self.attempts = 0
        self.refused: set[str] = set()
        self.overtime = 0
        self.cycled = -1
        if self.round < len(self.ranked) * ROUNDS:
            self.analogy, case = self.ranked[self.round % len(self.ranked)]
            self.use(case)
        else:
            self.use(EMPTY)

    # what happened

    def see(self, text: str) -> None:
        intent, self.intent = self.intent, None
        self.last = text
        if self.turn == 0:
            self.world.begin(text)
        elif intent is not None and not choices(text):
            self._learn(intent, text)
        self.blind.see(text)
        self.guided.see(text)
        self.turn += 1

    def took(self, action: str) -> None:
        action = " ".join(action.split())
        if self.intent is None or self.intent.action != action:
            self.intent = self._reinterpret(action)
        self.blind.took(action)
        self.guided.took(action)

    def _reinterpret(self, action: str) -> Intent:
        """Somebody else chose this action: what it is in our terms."""
        act = read_act(action, self.templates)
        if act.goes:
            return Intent(action, "go", act.place)
        if not act.values:
            return Intent(action, "look" if action in self.looks else "idle")
        for ahead in range(self.at, min(self.at + 4, len(self.case.plan))):
            step = self.case.plan[ahead]
            pairs = tuple(zip(step.act.values, act.values, strict=False))
            if step.act.template == act.template and any(kind(self.analogy.carry(old)) == kind(new) for old, new in pairs):
                self.at = ahead
                return Intent(action, "step", bound=pairs)
        return Intent(action, "open" if act.verb == "open" else "idle", act.values[0])

    def _learn(self, intent: Intent, text: str) -> None:
        failed = refuses(text)
        self.fresh_look = intent.aim == "look"
        if not failed:
            self.worked.add(intent.action)
        if intent.aim == "open":
            self.refused.clear()
        if intent.aim in ("step", "answer") and self.at < len(self.case.plan):
            self._learn_step(intent, text, failed)
        elif intent.aim in ("go", "look", "open"):
            self.learn_place(intent, text, failed)
        elif not failed and intent.aim != "approach":
            self.world.see(text)

    def _learn_step(self, intent: Intent, text: str, failed: bool) -> None:
        if failed:
            self.attempts += 1
            self.refused.add(self.wish.action if intent.aim == "answer" and self.wish else intent.action)
            return
        step = self.case.plan[self.at]
        self.bound.update(intent.bound)
        self.steps_done.add(self.at)
        self.sites.setdefault(step.place, self.world.place)
        if describes(text):
            self.world.see(text)
        elif (number := reading(text)) is not None:
            self.reading = number
        then, now = words(step.after), words(text)
        if max(len(then), len(now)) <= 40 and SequenceMatcher(None, then, now, autojunk=False).ratio() > 0.6:
            self.analogy.align(step.after, text)  # what the same step tells now may name new pairs (the parts of a recipe)
        if step.act.verb == "open":
            self.look_again(text)
        self._advance()

    def _advance(self) -> None:
        self.at += 1
        self.attempts = 0
        self.refused.clear()
        self.goal = ""

    # what to do

    def act(self) -> str:
        self.intent = self._answer() or self._follow() or self._idle()
        if self.intent.aim == "step":
            self.wish = self.intent
        return self.intent.action

    def _answer(self) -> Intent | None:
        """The number of the option that is most like what was asked for."""
        options = choices(self.last)
        if not options:
            return None
        wish_words = set(words(self.wish.action)) if self.wish else set()
        best = max(options, key=lambda o: (len(wish_words & set(words(o[1]))) - 0.1 * len(words(o[1])), -int(o[0])))
        return Intent(best[0], "answer", bound=self.wish.bound if self.wish else ())

    def _follow(self) -> Intent | None:
        while self.round < len(self.ranked) * ROUNDS:
            while self.at < len(self.case.plan):
                if intent := self._step(self.case.plan[self.at]):
                    return intent
                self._advance()
            succeeded = 2 * len(self.steps_done) >= len(self.case.plan)
            if succeeded and self._again():
                continue
            self.round = len(self.ranked) * ROUNDS if succeeded else self.round + 1
            self._begin_case()
        return None

    def _again(self) -> bool:
        """A plan that ended in a cycle is gone round again; once a turn at most."""
        plan = self.case.plan
        last = next((i for i in range(len(plan) - 2, -1, -1) if plan[i].act == plan[-1].act), None)
        if last is None or self.cycled == self.turn:
            return False
        self.at, self.cycled = last + 1, self.turn
        return True

    def _idle(self) -> Intent:
        """Nothing is left of the cases: what the hints say, else wait, or look. Without cases and hints: what the templates and
        the things seen suggest."""
        if action := self.guided.act():
            return Intent(action, "idle")
        if not self.ranked:
            return Intent(self.blind.act(), "idle")
        recalled = [case.idle for _, case in self.ranked if case.idle]
        forms = [t for t in self.templates if "{" not in t]
        return Intent([*recalled, *(t for t in forms if t.startswith("wait")), *self.looks, *forms, "look"][0], "idle")

    def _step(self, step: CaseStep) -> Intent | None:
        """The action for a step, or one on the way to it; None to leave the step out."""
        if self.attempts >= PATIENCE:
            return None
        if not step.act.values:
            return self._wait(step)
        step = self._by_name(step)
        placed = self._place_values(step)
        if placed is None or isinstance(placed, Intent):
            return placed
        values, place = placed
        if going := self.go(place):
            return going
        if looking := self.look_if_new():
            return looking
        deciding = self._choose(step, values)
        if isinstance(deciding, Intent):
            return deciding
        action = fill(step.act.template, deciding)
        if self.round and action in self.worked and sum(s.act == step.act for s in self.case.plan) == 1:
            self.steps_done.add(self.at)  # done in an earlier round
            return None
        if action in self.refused:
            return self._other_way(step, deciding)
        return Intent(action, "step", bound=tuple(zip(step.act.values, deciding, strict=True)))

    def _place_values(self, step: CaseStep) -> tuple[list[str], str] | Intent | None:
        """The present values of a step, and where to do it. Things first: where they lie tells which place is meant."""
        in_use = set(self.bound.values())
        values: dict[int, str] = {}
        place: str | None = None
        for i, (old, core) in enumerate(zip(step.act.values, step.cores, strict=True)):
            if self.is_place(old):
                continue
            now = self.ground(old, core, step, in_use)
            if not isinstance(now, Found):
                return now
            values[i] = now.value
            in_use.add(now.value)
            place = place or now.place
        for i, old in enumerate(step.act.values):
            if i not in values:
                spot = place or self._same_place(old) or self.spot(self.analogy.carry(old))
                if spot is None:
                    return None
                values[i] = place = spot
        return [values[i] for i in range(len(values))], self.site(step, self.sites) if place is None else place

    def _same_place(self, old: str) -> str | None:
        """The place that stood for a recalled one before, if it is of the sort wanted now."""
        place = self.bound.get(old)
        return place if place and kind(place) == kind(self.analogy.carry(old)) else None

    def _by_name(self, step: CaseStep) -> CaseStep:
        """A step that spoke of the instruction's thing by another name ("substance in pot") as one that names it."""
        keys = [key for key in self.analogy.changed if mentions(step.after, key) and not mentions(step.act.text, key)]
        if len(step.act.values) != 1 or not keys or len(words(step.after)) > 6 or mentions(step.after, step.cores[0]):
            return step
        act = read_act(fill(step.act.template, keys[:1]), self.templates)
        return CaseStep(act, step.place, (keys[0],), step.after, step.scene) if act.template == step.act.template else step

    def _choose(self, step: CaseStep, values: list[str]) -> list[str] | Intent:
        """Where the instruction gives alternatives, the value that belongs to the one that holds; or a look, to decide."""
        options = alternatives(self.instruction)
        for i, value in enumerate(values):
            mine = alternative_of(options, value)
            if mine is None:
                continue
            holds = [None if self.reading is None else option.holds(self.reading) for option in options]
            was = alternative_of(alternatives(self.case.instruction), step.cores[i] or step.act.values[i])
            if True in holds:
                values[i] = other(options, mine, value, holds.index(True))
            elif None in holds and step.scene and len(options) == 2 and was is not None:
                if self.looks and not self.fresh_look:
                    return self.look()
                names = [core for earlier in self.case.plan[: self.at] for core in earlier.cores if core]
                same = same_sight(step.scene, self.world.texts.get(self.world.place, ""), names, self.analogy)
                values[i] = other(options, mine, value, was if same else 1 - was)
        return values

    def _wait(self, step: CaseStep) -> Intent | None:
        """A step without values may be waiting for what comes next: no longer than it takes, a little longer if need be."""
        coming = next((s for s in self.case.plan[self.at :] if s.act.values), None)
        awaited = next((h for v in coming.act.values if self.analogy.changes(h := head(v))), "") if coming else ""
        if not awaited:
            return Intent(step.act.text, "step")
        if not self.fresh_look and self.looks:
            return self.look()
        if self.world.shows(self.analogy.carry(awaited)):
            return None
        last = self.at + 1 < len(self.case.plan) and bool(self.case.plan[self.at + 1].act.values)
        self.overtime += last
        return Intent(step.act.text, "idle" if last and self.overtime < OVERTIME else "step")

    def _other_way(self, step: CaseStep, values: list[str]) -> Intent | None:
        """The step was refused: something may be closed, or goes by another name."""
        for value in values:
            if self.world.is_closed(value) and (opening := self.open(value)):
                return opening
        for i, value in enumerate(values):
            for name in self.other_names(step.cores[i], value):
                others = [*values[:i], name, *values[i + 1 :]]
                action = fill(step.act.template, others)
                if action not in self.refused:
                    return Intent(action, "step", bound=tuple(zip(step.act.values, others, strict=True)))
        return None
