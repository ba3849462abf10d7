"""What stands now for what stood then: names of the recalled episode carried over to the present one.

The instructions are aligned word by word; what differs gives the substitution (mug → plate, desk → shelf). Further pairs
are added as the episode goes on, when something is found to play the part of something recalled.
"""

from __future__ import annotations

import re
from difflib import SequenceMatcher

from exprag_models.case_based.text import longest_first, plain, words

_MARKED = re.compile(r"[\w'-]+|[,;()]")  # stops keep the parts of a list apart


class Analogy:
    """An ordered substitution of words or phrases, then → now."""

    def __init__(self, then: str, now: str) -> None:
        self.now = now
        self.pairs: dict[str, str] = {}
        self.likeness = SequenceMatcher(None, words(then), words(now), autojunk=False).ratio()
        self.align(then, now)
        self.changed = tuple(longest_first(self.pairs))  # what the instruction itself changed
        self.changed_now = set(self.pairs.values())

    def align(self, then: str, now: str) -> None:
        """Learn from two texts of the same part what replaced what."""
        old, new = _MARKED.findall(then.lower()), _MARKED.findall(now.lower())
        for tag, i1, i2, j1, j2 in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
            if tag == "replace" and max(i2 - i1, j2 - j1) <= 4:
                for more in _with_words_before(old[:i1], new[:j1], old[i1:i2]):
                    self.add(" ".join(old[i1 - more : i2]), " ".join(new[j1 - more : j2]))

    def add(self, then: str, now: str) -> None:
        then, now = plain(then).strip(), plain(now).strip()
        if then and now and then != now and not then.isdigit():
            self.pairs.setdefault(then, now)

    def carry(self, name: str) -> str:
        """A name of then in the words of now; as it is where nothing is known about it."""
        if not self.pairs:
            return name
        pattern = r"(?<![\w-])(" + "|".join(re.escape(key) for key in longest_first(self.pairs)) + r")(?![\w-])"
        return re.sub(pattern, lambda hit: self.pairs[hit[0].lower()], name, flags=re.IGNORECASE)

    def key(self, name: str) -> str:
        """The longest thing in a name that the instruction replaces; "" if none."""
        return next((key for key in self.changed if f" {key} " in plain(name)), "")

    def changes(self, name: str) -> bool:
        """Whether the instruction itself names something else in its place."""
        return any(f" {key} " in plain(name) for key in self.changed)


def _with_words_before(old: list[str], new: list[str], replaced: list[str]) -> list[int]:
    """How many words before a replaced one belong to it: none, unless it is a letter alone ("unknown substance B")."""
    shared = 0
    while len(replaced) == 1 and len(replaced[0]) == 1 and shared < min(2, len(old), len(new)):
        if old[-1 - shared] != new[-1 - shared] or len(old[-1 - shared]) <= 3:
            break
        shared += 1
    return list(range(1, shared + 1)) or [0]
