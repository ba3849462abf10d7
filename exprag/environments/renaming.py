"""Words renamed: the verbs that an action can begin with, and the names that bear a number, get other words.

What an agent learnt by heart is then of no use: only what it reads of the new words tells them (API drift). The same word and
seed give the same new word everywhere, so that an episode and the memory beside it agree.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from exprag.trajectory import Step, Trajectory

Verbs = Literal["invented", "exchanged", "kept"]

_FIRST_WORD = re.compile(r"(\s*)([^\W\d_]+)")
_WORD = re.compile(r"[^\W\d_]+")
_NUMBERED = re.compile(r"([^\W\d_]{3,}) \d+\b")
_SMALL_WORDS = frozenset(
    ("about", "and", "are", "but", "for", "from", "has", "have", "into", "not", "now",
     "only", "over", "see", "than", "that", "the", "then", "they", "was", "with", "you")
)  # fmt: skip


def invent_verbs(templates: Collection[str], seed: int | str) -> dict[str, str]:
    """A new word for each verb that a template begins with, no two alike and none that a template holds."""
    verbs = sorted({first[2].lower() for template in templates if (first := _FIRST_WORD.match(template))})
    vocabulary = {word.lower() for template in templates for word in _WORD.findall(template)}
    words: dict[str, str] = {}
    for verb in verbs:
        words[verb] = _invent(verb, seed, vocabulary)
        vocabulary.add(words[verb])
    return words


def exchange_verbs(templates: Collection[str], seed: int | str) -> dict[str, str]:
    """For each verb that a template begins with one of another template of the same form, such as "heat" for the "clean" of
    "clean {object} with {receptacle}". A verb of several forms, or of a form of its own, stays."""
    forms: dict[str, set[str]] = {}
    for template in templates:
        if first := _FIRST_WORD.match(template):
            forms.setdefault(first[2].lower(), set()).add(template[first.end() :])
    groups: dict[str, list[str]] = {}
    for verb in sorted(forms):
        if len(forms[verb]) == 1:
            groups.setdefault(next(iter(forms[verb])), []).append(verb)
    return {verb: new for form, verbs in sorted(groups.items()) for verb, new in _exchange(verbs, f"{seed} {form}").items()}


def replace_verb(action: str, words: Mapping[str, str]) -> str:
    """The action with its first word replaced, where `words` has another for it."""
    first = first_word(action)
    if first is None or first[2].lower() not in words:
        return action
    return first[1] + words[first[2].lower()] + action[first.end() :]


def first_word(action: str) -> re.Match[str] | None:
    """The blanks before an action's first word, and that word: groups 1 and 2."""
    return _FIRST_WORD.match(action)


def numbered_names(texts: Iterable[str]) -> set[str]:
    """The words that stand before a number: "mug" of "a mug 1"."""
    return {name.lower() for text in texts for name in _NUMBERED.findall(text)} - _SMALL_WORDS


@dataclass(frozen=True)
class Renaming:
    """How one episode is rewritten. `verbs`: new words for those of the action templates. With `names`, what bears a number gets
    an invented word, but for what `exchanged` names: that gets the name of another thing."""

    verbs: Mapping[str, str]
    seed: str
    names: bool = False
    exchanged: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def draw(
        cls,
        templates: Collection[str],
        seed: str,
        *,
        verbs: Verbs = "invented",
        names: bool = False,
        exchange: Trajectory | None = None,
    ) -> Renaming:
        """The renaming that a seed gives for an environment's action templates.

        `verbs`: invented, exchanged (those of actions of one form take one another's places) or kept.
        `exchange`: the names of this episode take one another's places, those of its first observation among themselves and the
        others too.
        """
        exchanged: dict[str, str] = {}
        if exchange is not None:
            texts = [*(step.observation for step in exchange.steps), exchange.final_observation]
            first = numbered_names(texts[:1])
            for group in (first, numbered_names(texts) - first):
                exchanged |= _exchange(group, seed)
        new: dict[str, str] = {}
        if verbs != "kept":
            new = (invent_verbs if verbs == "invented" else exchange_verbs)(templates, seed)
        return cls(new, seed, names or bool(exchanged), exchanged)

    def templates(self, templates: Iterable[str]) -> tuple[str, ...]:
        """The templates in the new words. Where verbs are invented, in another order, which would tell them else; where they took
        one another's places, all templates are there as before."""
        old = tuple(templates)
        new = [replace_verb(template, self.verbs) for template in old]
        if set(new) == set(old):
            return old
        if self.verbs:
            random.Random(f"order {self.seed}").shuffle(new)
        return tuple(new)

    def trajectory(self, trajectory: Trajectory) -> Trajectory:
        """The episode in the new words. Texts of the model and of the environment alike; thoughts stay as they are."""
        instruction = trajectory.task.instruction
        request = _WORD.sub(lambda word: self.verbs.get(word[0].lower(), word[0]), instruction)
        write = self._writer(trajectory)

        def text(old: str) -> str:  # a text may repeat what is to be done
            return write(old.replace(instruction, request) if instruction else old)

        changes = {
            "task": trajectory.task.model_copy(update={"instruction": text(instruction)}),
            "steps": tuple(self._step(step, text) for step in trajectory.steps),
            "final_observation": text(trajectory.final_observation),
        }
        return trajectory.model_copy(update=changes)

    def _step(self, step: Step, text: Callable[[str], str]) -> Step:
        action = text(replace_verb(step.action, self.verbs))
        return step.model_copy(update={"observation": text(step.observation), "action": action, "response": None})

    def _writer(self, trajectory: Trajectory) -> Callable[[str], str]:
        if not self.names:
            return str
        names = numbered_names([*(step.observation for step in trajectory.steps), trajectory.final_observation])
        words = {name: self.exchanged.get(name) or _invent(name, self.seed) for name in names}
        return lambda text: _WORD.sub(lambda word: words.get(word[0].lower(), word[0]), text)


def _exchange(words: Iterable[str], seed: str) -> dict[str, str]:
    """Each of the words with one of them in its place."""
    old = sorted(words)
    return dict(zip(old, random.Random(f"exchange {seed}").sample(old, len(old)), strict=True))


def _invent(word: str, seed: int | str, vocabulary: Collection[str] = ()) -> str:
    rng = random.Random(f"drift {seed} {word}")
    new = word
    while new == word or new in vocabulary:
        new = "".join(rng.choice(letters) for letters in ("bdfgklmnprstvz", "aeiou") * 2) + rng.choice("bdgklmnprst")
    return new
