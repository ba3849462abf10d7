"""Without memory: the action templates, and the things that observations and instruction name. Honest and weak.

Things that the instruction names are tried with every form of action; for the rest it goes about, opens and looks.
"""

from __future__ import annotations

from collections import Counter

from exprag.contracts.templates import SLOT, fill
from exprag_models.case_based.cases import GOING
from exprag_models.case_based.text import kind, mentions, numbered, phrases

_EXPLORING = {*GOING, "open", "look", "examine"}
_RECENT = 40


class Blind:
    def __init__(self, instruction: str, templates: tuple[str, ...]) -> None:
        self.instruction = instruction
        self.templates = templates
        self.things: dict[str, None] = {}
        self.tried: Counter[str] = Counter()

    def see(self, text: str) -> None:
        """Remember what a text names, the latest last."""
        for name in reversed(numbered(text) or phrases(text)):
            if len(name.split()) <= 3:
                self.things.pop(name, None)
                self.things[name] = None

    def took(self, action: str) -> None:
        self.tried[action] += 1

    def act(self) -> str:
        recent = list(reversed(self.things))[:_RECENT]
        named = [name for name in recent if mentions(self.instruction, kind(name))]
        filled: list[str] = []
        for template in self.templates:
            slots = len(SLOT.findall(template))
            if slots == 1:
                things = recent if template.split()[0].lower() in _EXPLORING else named
                filled += [fill(template, [name]) for name in things]
            elif slots == 2:
                filled += [fill(template, [name, to]) for name in named for to in recent[:8] if to != name]
        untried = [action for action in filled if not self.tried[action]]
        if untried:  # turn by turn another form of action
            turn = sum(self.tried.values())
            return untried[(turn * 7) % len(untried)]
        forms = [t for t in self.templates if not SLOT.search(t)] or ["look"]
        return min(forms, key=lambda form: (self.tried[form], forms.index(form)))
