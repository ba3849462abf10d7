"""A recalled episode as a case: what was done, where, and what of it was needed.

Going about is left out of the plan: where things are differs now, so that moving, opening the way and looking for things
are done on demand (`player`). What stays is what was done to things, in order, each with the place where it was done.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache

from exprag.contracts.formatter import Formatter, Transcript
from exprag.contracts.templates import match, pattern
from exprag.plugins import registry
from exprag_models.case_based.text import has_number, head, longest_first, mentions, phrases, plain, refuses, words

GOING = {"go", "goto", "walk", "enter", "travel", "head", "navigate"}
LOOKING = {"look", "inventory"}
LITTLE = {"in", "on", "to", "of", "with", "from", "containing", "nothing", "and", "inventory", "terminal"}
_TOWARDS = re.compile(r"^(?:(?:to|into|in|the)\s+)+", re.IGNORECASE)


@dataclass(frozen=True)
class Act:
    """An action read by the templates: the template, the slot values."""

    text: str
    template: str
    values: tuple[str, ...]

    @property
    def verb(self) -> str:
        return self.template.split(" ", 1)[0].lower()

    @property
    def goes(self) -> bool:
        return self.verb in GOING and len(self.values) == 1

    @property
    def place(self) -> str:
        """Where a going action goes."""
        return plain(_TOWARDS.sub("", self.values[0])).strip()


@lru_cache(maxsize=8192)
def read_act(text: str, templates: tuple[str, ...]) -> Act:
    """An action that fits no template is read as a verb and one value."""
    text = " ".join(text.split())
    hit = match(text, templates)
    if hit:
        longest_first = re.fullmatch(pattern(hit[0]).pattern.replace("(.+?)", "(.+)"), text, re.IGNORECASE)
        return Act(text, hit[0], longest_first.groups() if longest_first else hit[1])
    verb, _, rest = text.partition(" ")
    return Act(text, f"{verb} {{x}}", (rest,)) if rest else Act(text, verb, ())


@dataclass(frozen=True)
class CaseStep:
    """One needed step: the act, the place where it was done, what came of it.

    `cores`: of each value the words that had literally been seen ("dove egg" of "egg dove egg in inventory"), "" if none.
    """

    act: Act
    place: str
    cores: tuple[str, ...]
    after: str
    scene: str = ""  # how the place was last described before the step


@dataclass(frozen=True)
class Case:
    outcome: str
    instruction: str
    plan: tuple[CaseStep, ...]
    texts: dict[str, str] = field(default_factory=dict)  # place → what was seen there
    moves: tuple[Act, ...] = ()
    ways: tuple[tuple[str, str], ...] = ()  # moves from place to place that worked
    approaches: tuple[str, ...] = ()  # "open door to {}"
    looks: tuple[str, ...] = ()
    idle: str = ""


@lru_cache(maxsize=1)
def _formatters() -> tuple[Formatter, ...]:
    """Every installed formatter that works: one of them wrote the memory."""
    formatters = []
    for component in registry().components:
        if component.kind == "formatter" and component.problem() is None:
            try:
                formatters.append(component.create())
            except Exception:  # noqa: BLE001 - a broken third-party formatter must not stop the others
                continue
    return tuple(formatters)


def transcribe(body: str) -> Transcript | None:
    for formatter in _formatters():
        try:
            read = formatter.parse(body)
        except Exception:  # noqa: BLE001 - as above
            continue
        if read is not None:
            return read
    return None


@lru_cache(maxsize=256)
def read_case(outcome: str, body: str, templates: tuple[str, ...]) -> Case | None:
    """The case in a memory entry, or None where it is empty, or no installed formatter can read it."""
    read = transcribe(body)
    if read is None or not read.turns:
        return None
    after = [observation for observation, _ in read.turns[1:]] + [read.final_observation]
    acts = [read_act(action, templates) for _, action in read.turns]
    start = read.turns[0][0]
    places = {act.place for act in acts if act.goes}
    texts: dict[str, str] = {}
    trail = _trail(start, acts, after, places)
    plan: list[CaseStep] = []
    moves: list[Act] = []
    ways: dict[tuple[str, str], None] = {}
    approaches: dict[str, None] = {}
    looks: dict[str, None] = {}
    idle: Counter[str] = Counter()
    inside = _revealed(acts, after)
    texts[trail[0]] = start
    scenes = dict(texts)
    for i, (act, text) in enumerate(zip(acts, after, strict=True)):
        here, there = trail[i], trail[i + 1]
        failed = refuses(text)
        shows_here = texts.get(here, "")
        if act.goes and not failed:
            ways[(here, there)] = None
            moves.append(act)
            before = acts[i - 1] if i else None
            if before and before.verb == "open" and mentions(before.text, act.place):
                approaches[re.sub(re.escape(act.place), "{}", before.text, flags=re.IGNORECASE)] = None
        if describes(text):
            scenes[there] = text
            texts[there] = texts.get(there, "") + "\n" + text
        if act.goes or act.text.isdigit() or failed:
            continue
        if not act.values and act.verb in LOOKING:
            if describes(text):
                looks[act.text] = None
            continue
        if not act.values:
            idle[act.text] += 1
        opens_way = act.verb == "open" and any(later.goes and mentions(act.text, later.place) for later in acts[i + 1 : i + 3])
        if opens_way or (act.verb in ("open", "close") and act.values in inside):
            continue
        everything = "\n".join(texts.values())
        cores = tuple(core(v, shows_here) or (plain(v).strip() if mentions(everything, v) else "") for v in act.values)
        again = bool(act.values and plan) and (plan[-1].act, plan[-1].after) == (act, text)
        if not again:
            plan.append(CaseStep(act, here, cores, text, scenes.get(here, "")))
    return Case(
        outcome,
        read.instruction,
        tuple(plan),
        texts,
        tuple(moves),
        tuple(ways),
        tuple(approaches),
        tuple(looks),
        max(idle, key=lambda a: idle[a], default=""),
    )


def describes(text: str) -> bool:
    """Whether a text tells of things, more than an acknowledgement would."""
    return len(phrases(text)) > 3


def _trail(start: str, acts: list[Act], after: list[str], places: set[str]) -> list[str]:
    """The place before each action, and the last one; "" where nothing tells where the episode began."""
    trail = [""]
    for act, text in zip(acts, after, strict=True):
        trail.append(act.place if act.goes and not refuses(text) else trail[-1])
    texts = {place: text for place, text in zip(trail[1:], after, strict=True) if describes(text)}
    begin = title_of(start, titles(texts)) or place_at_end(head_of(start), places)
    first = next((i for i, place in enumerate(trail) if place), len(trail))
    return [begin] * first + trail[first:]


def titles(texts: dict[str, str]) -> tuple[str, ...]:
    """How descriptions of places begin: "this room is called " before the place's name."""
    beginnings: dict[str, None] = {}
    for place, text in texts.items():
        for line in text.splitlines():
            head = head_of(line)
            if place and not has_number(place) and head.endswith(" " + place):
                beginnings[head[: -len(place)]] = None
    return tuple(beginnings)


def title_of(text: str, beginnings: tuple[str, ...]) -> str:
    """The place that a description names in its title; "" if it does not."""
    head = head_of(text)
    whole = next((head[len(title) :] for title in beginnings if head.startswith(title)), "")
    ends = [f" {title.split()[-1]} " for title in beginnings]  # "… called": other sorts of places may be introduced otherwise
    return whole or next((head.partition(end)[2] for end in ends if end in head), "")


def place_at_end(title: str, places: Iterable[str]) -> str:
    """The longest of the places with whose name a title ends; "" if none."""
    return next((place for place in longest_first(places) if title.endswith(" " + place)), "")


def head_of(text: str) -> str:
    """The words before the first stop of a text."""
    return plain(re.split(r"[\n:.]", text.strip(), maxsplit=1)[0]).strip()


def _revealed(acts: list[Act], after: list[str]) -> set[tuple[str, ...]]:
    """Values of opening actions whose observation listed what is inside: they were opened to find something."""
    return {act.values for act, text in zip(acts, after, strict=True) if act.verb == "open" and len(phrases(text)) > 2}


def core(value: str, text: str) -> str:
    """What a text calls the thing of a value: a phrase of the same words in any order ("turtle egg" for "egg turtle"), else
    the longest run of the value's words that stands in the text; numbers and little words alone do not count."""
    head_words = set(words(head(value)))
    if len(head_words) > 1:
        for phrase in phrases(text):
            if head_words <= set(parts := phrase.split()) and len(parts) <= len(head_words) + 1:
                return phrase
    parts = words(value)
    for length in range(len(parts), 0, -1):
        for i in range(len(parts) - length + 1):
            run = parts[i : i + length]
            telling = not {run[0], run[-1]} & LITTLE and not all(part.isdigit() for part in run)
            if telling and mentions(text, " ".join(run)):
                return " ".join(run)
    return ""
