"""Hints as this baseline reads them: sentences of two forms, and nothing else.

    Do in order: take {object} from {any receptacle}; move {object} to {receptacle}.     a course; "Do 2 times in order: …" too
    Look for mug at shelf first.                                                         where a thing is likely to be

{object} is one that the task names, {any object} is another; a word in their place is that kind of thing. Hints in other words
are passed over: it is no language model.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from exprag.contracts.templates import SLOT, match

_COURSE = re.compile(r"do (?:(\d{1,2}) times )?in order: (.+)", re.IGNORECASE)
_SIGHT = re.compile(r"look for (.+?) (?:at|in|on) (.+?) first", re.IGNORECASE)
_PLACEHOLDER = re.compile(r"\{(any )?[\w ]+\}", re.IGNORECASE)


@dataclass(frozen=True)
class Part:
    """One slot of a form: its name, and what fills it: a kind in words, one that the task names, or any."""

    slot: str
    word: str = ""
    named: bool = False


@dataclass(frozen=True)
class Form:
    """An action of a course: the environment's template, and its slots."""

    template: str
    parts: tuple[Part, ...]

    @property
    def verb(self) -> str:
        return re.split(r"\W", self.template, maxsplit=1)[0].lower()


@dataclass(frozen=True)
class Rules:
    """What the hints say: courses, and for things the kinds of places where they are likely to be, in the order of the hints."""

    courses: tuple[tuple[Form, ...], ...] = ()
    sights: tuple[tuple[str, str], ...] = ()


def read_rules(hints: Sequence[str], templates: tuple[str, ...]) -> Rules:
    """The hints that are of the two forms; a course with an action that fits no template is passed over."""
    courses, sights = [], []
    for hint in hints:
        text = hint.strip().rstrip(".")
        if course := _COURSE.fullmatch(text):
            forms = [read_form(part, templates) for part in course[2].split(";")]
            whole = tuple(form for form in forms if form is not None)
            if len(whole) == len(forms):
                courses.append(whole * int(course[1] or 1))
        elif sight := _SIGHT.fullmatch(text):
            sights.append((sight[1].strip().lower(), sight[2].strip().lower()))
    return Rules(tuple(courses), tuple(sights))


def read_form(text: str, templates: tuple[str, ...]) -> Form | None:
    """An action of a course, or None where it fits no template."""
    fit = match(text, templates)
    if fit is None:
        return None
    parts = []
    for slot, value in zip(SLOT.findall(fit[0]), fit[1], strict=True):
        placeholder = _PLACEHOLDER.fullmatch(value.strip())
        parts.append(Part(slot, named=not placeholder[1]) if placeholder else Part(slot, value.strip().lower()))
    return Form(fit[0], tuple(parts))
