"""Items: what is written from finished episodes, such as hints, as records with their origin; near-duplicates joined.

A distiller (`exprag.contracts.distiller`) makes items, a bank keeps them (`exprag.bank.items`), and an agent whose configuration
has a `hint_k` reads the best of them (`exprag.retrieval.hints`).
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable
from typing import Any

from exprag.errors import ConfigError
from exprag.trajectory import Name, Record, Text, Trajectory

ALIKE = 0.85
"""Levenshtein similarity from which two texts are one (arXiv 2510.01375, stage B)."""
INSTANCE, ANSWER = "names an object instance", "quotes the answer"
"""Flags: an item that has one is kept, and never shown to an agent."""
_SENTENCE = re.compile(r"[\s.;!]+$")


class ItemSource(Record):
    """An episode that an item was written from."""

    episode: Name
    """Its id."""
    task: Name
    """The key of its task."""
    group: Text = ""
    """The group of its task, which gives the task away."""

    @classmethod
    def of(cls, episode: Trajectory) -> ItemSource:
        return cls(episode=episode.id, task=episode.task.key, group=episode.task.group)


class Item(Record):
    """One text that was written from experience, and where it comes from."""

    id: Text = ""
    """Made from kind, environment, type and text, where it is not given."""
    kind: Name = "hint"
    """What it is: hint, insight, workflow, strategy …"""
    text: Name
    """What an agent reads."""
    environment: Text = ""
    """The environment of the episodes."""
    type: Text = ""
    """The task type (of a shop: the category) that it is for; "": any."""
    tags: tuple[Text, ...] = ()
    """Words to find it by."""
    sources: tuple[ItemSource, ...] = ()
    """The episodes that it was written from, each once."""
    distiller: Text = ""
    """The distiller that wrote it."""
    model: Text = ""
    """The model that worded it; "": none."""
    created: Text = ""
    """When it was written: UTC, ISO 8601."""
    flags: tuple[Text, ...] = ()
    """What is wrong with it; a flagged item is never shown to an agent."""
    retired: Text = ""
    """Why it is no longer shown to agents; "": it is."""

    def model_post_init(self, context: Any) -> None:
        if not self.id:
            content = [self.kind, self.environment, self.type, comparable(self.text)]
            digest = hashlib.sha256(json.dumps(content, ensure_ascii=True).encode()).hexdigest()
            object.__setattr__(self, "id", digest[:16])

    @property
    def usable(self) -> bool:
        """Whether an agent may read it."""
        return not self.flags and not self.retired


def normalised(text: str) -> str:
    """A text on one line, its first letter large, with one full stop."""
    line = _SENTENCE.sub("", " ".join(text.split()).lstrip("-*•0123456789.) "))
    return f"{line[:1].upper()}{line[1:]}." if line else ""


def comparable(text: str) -> str:
    """What of a text counts where two are compared: its words in lower case."""
    return normalised(text).casefold()


def similarity(one: str, other: str) -> float:
    """1 minus the Levenshtein distance by the longer length, in [0, 1]. Raises ConfigError without rapidfuzz."""
    return _similarity(comparable(one), comparable(other))


def _similarity(one: str, other: str, least: float = 0.0) -> float:
    """That of texts that are `comparable` already; 0 where it is below `least`, which takes a tenth of the time."""
    try:
        from rapidfuzz.distance import Levenshtein
    except ImportError as error:
        raise ConfigError("Near-duplicates are found with rapidfuzz.", cure="pip install 'exprag[distill]'") from error
    return float(Levenshtein.normalized_similarity(one, other, score_cutoff=least))


def join(items: Iterable[Item], threshold: float = ALIKE, *, joined: Iterable[Item] = ()) -> list[Item]:
    """The items without near-duplicates, in their order: within a kind, environment and type the first of those that are alike
    stays, with the sources and tags of all. A retired one stays retired, and a flag stays with what it was said of.

    `joined` come before them, and were joined already: they are not compared with each other.
    """
    groups: dict[tuple[str, str, str], list[tuple[Item, str]]] = {}
    for item in joined:
        groups.setdefault((item.kind, item.environment, item.type), []).append((item, comparable(item.text)))
    for item in items:
        group = groups.setdefault((item.kind, item.environment, item.type), [])
        text = comparable(item.text)
        for number, (other, its_text) in enumerate(group):
            if other.id == item.id or (other.flags == item.flags and _similarity(its_text, text, threshold) >= threshold):
                group[number] = merged(other, item), its_text
                break
        else:
            group.append((item, text))
    return [item for group in groups.values() for item, _ in group]


def merged(item: Item, other: Item) -> Item:
    """The first item with the sources and tags of both."""
    sources = {source.episode: source for source in (*other.sources, *item.sources)}
    return item.model_copy(
        update={
            "sources": tuple(sources[id] for id in sorted(sources)),
            "tags": tuple(dict.fromkeys((*item.tags, *other.tags))),
            "retired": item.retired or other.retired,
        }
    )
