"""Which things an instruction names and an action handles: English words, and no knowledge of any environment.

The object of an instruction is what its first verb is about ("put a clean mug in the cabinet": the mug; "change the state of
matter of lead": lead). Words are compared in lower case, without numbers and plural endings.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache

from exprag.trajectory import Trajectory

_WORD = re.compile(r"[a-z][a-z'-]*")
_CLAUSE = re.compile(r"[.,;:!?()\n]+|\b(?:and|then|or|that|which|if|so)\b")
_ANY = re.compile(r"\ba\(n\) ", re.IGNORECASE)
_PREAMBLE = re.compile(r"^\s*(?:your|the) task is(?: to)?:?\s*", re.IGNORECASE)
def _group(text: str) -> frozenset[str]:
    return frozenset(text.split())


DETERMINERS = _group("a an the some any one two three four five another each every this these your its their")
_PREPOSITIONS = _group(
    "in into on onto to from with under over at of for by inside outside using through near between off out up down as called"
)
_NO_THINGS = _group(
    "i me my it them they you he she is are was be been being do does not no all also first next last there here where when what "
    "how will would can could should may must has have had cause change make take actions action task it's least most more less"
)
_STATES = _group("clean cleaned hot cold cool cooled heated warm dirty open opened closed new old empty full red green blue")
KINDS = _group("thing object item something anything substance material")
"""Words for any thing: an instruction with such an object does not name it."""
LOOKING = _group(
    "go goto walk travel move-to enter open close look examine inspect read inventory check wait help search teleport listen say "
    "think finish done stop press click"
)
"""First words of actions that go somewhere, look at something or wait: they handle nothing."""


@lru_cache(maxsize=16_384)
def stem(word: str) -> str:
    """The word in lower case without the ending of a plural."""
    word = word.lower()
    if len(word) > 4 and word.endswith(("shes", "ches", "xes", "oes", "sses")):
        return word[:-2]
    if len(word) > 4 and word.endswith("ies"):
        return word[:-3] + "y"
    return word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith("ss") else word


@lru_cache(maxsize=65_536)
def words(text: str) -> frozenset[str]:
    """The words of a text, without endings of plurals."""
    return frozenset(stem(word) for word in _WORD.findall(text.lower()))


def _head(tokens: list[str]) -> str:
    """The last word of the noun phrase with which the tokens begin; "" where there is none."""
    phrase: list[str] = []
    for token in tokens[:4]:
        if token in _PREPOSITIONS or token in DETERMINERS or token in _NO_THINGS:
            break
        phrase.append(token)
    while phrase and phrase[-1] in _STATES:
        phrase.pop()
    if len(phrase) > 1 and len(phrase[-1]) == 1:  # "unknown substance B"
        return " ".join(phrase[-2:])
    return stem(phrase[-1]) if phrase else ""


class Vocabulary:
    """The words of the observations of some episodes: what their environment has names for."""

    def __init__(self, episodes: Iterable[Trajectory]) -> None:
        texts: set[str] = set()
        for episode in episodes:
            instruction = episode.task.instruction
            texts |= {without(step.observation, instruction) for step in episode.steps}
        raw = set[str]().union(*(_WORD.findall(text.lower()) for text in texts))
        self.words = frozenset(map(stem, raw))

    def target(self, instruction: str) -> str:
        """The thing that the instruction is about, a word, or a word and a letter; "" where it names none."""
        goal = _ANY.sub("a ", _PREAMBLE.sub("", instruction))
        first, _, then = _CLAUSE.split(goal.lower(), maxsplit=1)[0].partition(" to ")
        thing = _object(_WORD.findall(first)[1:])
        if thing not in self.words and len(tokens := _WORD.findall(then)) > 1:  # "use chemistry to create violet paint"
            other = _object(tokens[1:])
            thing = other if other in self.words else thing
        return "" if thing in KINDS else thing


def _object(tokens: list[str]) -> str:
    """The thing that the words after a verb name, of a chain ("the state of matter of lead") the last."""
    while tokens and (tokens[0] in _PREPOSITIONS or tokens[0] in DETERMINERS):
        tokens = tokens[1:]
    head, size = _head(tokens), 0
    while size < len(tokens) and tokens[size] not in _PREPOSITIONS:
        size += 1
    return (_object(tokens[size:]) if tokens[size : size + 1] == ["of"] else "") or head


def without(text: str, instruction: str) -> str:
    """An observation without the instruction that it may repeat."""
    return text.replace(instruction, " ") if instruction else text


@lru_cache(maxsize=65_536)
def handled(action: str) -> frozenset[str]:
    """The words of the thing that an action handles: "take mug 1 from desk 1" the mug; none of an action that goes or looks."""
    tokens = _WORD.findall(action.lower())
    if len(tokens) < 2 or tokens[0] in LOOKING or (tokens[0] == "move" and tokens[1] == "to"):
        return frozenset()
    rest = tokens[1:]
    while rest and (rest[0] in _PREPOSITIONS or rest[0] in DETERMINERS):
        rest = rest[1:]
    thing = []
    for token in rest:
        if token in _PREPOSITIONS:
            break
        thing.append(stem(token))
    return frozenset(thing)


def names(group: frozenset[str], thing: str) -> bool:
    """Whether the words name the thing."""
    return bool(thing) and group.issuperset(thing.split())
