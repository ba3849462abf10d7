"""Words: how key texts are divided into them for the full-text index, and which words of the bank a query means.

Two of the index's tokenizers are used. `SPACED` divides at white space and punctuation. `UNSPACED` finds words by a dictionary,
as Chinese, Japanese, Thai, Lao, Khmer and Burmese need, which are written without blanks; it comes with LanceDB and needs no
download, but leaves out single digits. So a column is indexed by the first until a text of those languages comes, and the
index itself records which (`index_details` of LanceDB).

The index stems English and leaves out its stop words. What it does not do is done to a query here: people write "soap bar" or
"bar of soap" where a bank says "soapbar", "counter" for "countertop", and "2" for "two".
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterable
from itertools import pairwise

import pyarrow as pa
import pyarrow.compute as pc

SPACED, UNSPACED = "simple", "icu/split"
# Thai, Lao, Burmese, Khmer, kana, Han (with extensions and compatibility forms), half-width katakana
_LETTERS_UNSPACED = (
    "[\u0e01-\u0eff\u1000-\u109f\u1780-\u17ff\u3041-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\uff66-\uff9f"
    "\U00020000-\U0003ffff]"
)
_UNSPACED = re.compile(_LETTERS_UNSPACED)
_LONGEST = 40  # letters; the index leaves longer words out
_SHORT_WORD = r"\b[0-9A-Za-z]{1,9}\b"  # most texts have one, and it is found fast
_WORD = re.compile(r"[^\W_]+")
_PART = 3  # letters of either part of a compound, at least
_COMPLETIONS = 8  # a word that begins or ends more compounds than this says too little
_ENDINGS = ("ing", "ed", "es", "s")
_NUMBERS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")
_OTHER_FORM = {str(n): word for n, word in enumerate(_NUMBERS)} | {word: str(n) for n, word in enumerate(_NUMBERS)}
# Words that the index leaves out, or that are no name of a thing
_FUNCTION_WORDS = """
    a about after again all an and any are as at back be been before below both but by can could did do does down each few find
    for from had has have he her here his how i if in into is it its just me more most my next no not now of off on once one or
    other our out over own put same she should so some such take than that the their them then there these they this those to
    too two under until up use was we were what when where which while who will with would you your
"""
_STOP = frozenset(_FUNCTION_WORDS.split())


def is_unspaced(text: str) -> bool:
    """Whether the text has letters of a script that is written without blanks between words."""
    return not text.isascii() and _UNSPACED.search(text) is not None


def tokenizer_for(texts: pa.ChunkedArray | pa.Array) -> str:
    """The tokenizer that fits these texts (strings, or lists of strings)."""
    texts = flat(texts)
    foreign = texts.filter(pc.invert(pc.string_is_ascii(texts)))  # most texts end here, at memory speed
    return UNSPACED if len(foreign) and pc.any(pc.match_substring_regex(foreign, _LETTERS_UNSPACED)).as_py() else SPACED


def count_wordless(texts: pa.ChunkedArray | pa.Array) -> int:
    """How many of the texts have no word that can be indexed: they hold signs alone, or words of more than 40 letters."""
    texts = flat(texts)
    others = texts.filter(pc.invert(pc.match_substring_regex(texts, _SHORT_WORD))).to_pylist()
    return sum(not is_unspaced(text) and all(len(word) > _LONGEST for word in _WORD.findall(text)) for text in others)


def flat(texts: pa.ChunkedArray | pa.Array) -> pa.ChunkedArray | pa.Array:
    """The strings of a column of strings or of lists of them, without nulls."""
    return pc.drop_null(pc.list_flatten(texts) if pa.types.is_list(texts.type) else texts)


class Vocabulary:
    """The words of some texts, by which queries are understood.

        Vocabulary(["put a soapbar in cabinet"]).meant("Put 2 bars of soap on the counter")   # (["two", "soapbars"], [])

    Words that no text has change no score, so a vocabulary may hold more than the rows that are searched.
    """

    def __init__(self, texts: Iterable[str] = ()) -> None:
        words = {word for text in texts for word in _WORD.findall(text.lower())}
        self._stems = {_stem(word) for word in words}
        self._forward = sorted(word for word in words if len(word) >= 2 * _PART)
        self._backward = sorted(word[::-1] for word in self._forward)

    def meant(self, text: str) -> tuple[list[str], list[str]]:
        """Words that the query means and does not say. First those that are certain: numbers in the other way of writing, and
        compounds that the texts have of its neighbouring words ("soap bar", "bar of soap": soapbar). Then guesses: the parts of
        a compound, where the texts have both as words, and for a word that no text has the compounds that begin or end with it
        ("counter": countertop)."""
        query_words = [word for word in _WORD.findall(text.lower()) if len(word) <= _LONGEST]  # the index has no longer ones
        certain = [_OTHER_FORM[word] for word in query_words if word in _OTHER_FORM] + self._joined(query_words)
        names = [word for word in query_words if word not in _STOP and len(word) >= _PART and not is_unspaced(word)]
        guesses = [guess for word in names for guess in (*self._parts(word), *self._completions(word))]
        stems = {_stem(word) for word in query_words}
        return _new(certain, stems), _new(guesses, stems)

    def _joined(self, query_words: list[str]) -> list[str]:
        pairs = list(pairwise(query_words))
        triples = zip(query_words, query_words[1:], query_words[2:], strict=False)
        pairs += [(last, first) for first, middle, last in triples if middle == "of"]
        return [first + second for first, second in pairs if _stem(first + second) in self._stems]

    def _parts(self, word: str) -> list[str]:
        for at in range(_PART, len(word) - _PART + 1):
            if _stem(word[:at]) in self._stems and _stem(word[at:]) in self._stems:
                return [word[:at], word[at:]]
        return []

    def _completions(self, word: str) -> list[str]:
        if _stem(word) in self._stems:
            return []
        compounds = set()
        for form in {word, _stem(word)}:
            if len(form) >= _PART:
                compounds |= set(_beginning(self._forward, form))
                compounds |= {compound[::-1] for compound in _beginning(self._backward, form[::-1])}
        return sorted(compounds) if len({_stem(compound) for compound in compounds}) <= _COMPLETIONS else []


def _beginning(words: list[str], start: str) -> list[str]:
    """Those of the sorted words that begin so and go on for long enough; few of them, as more are of no use."""
    first = bisect_left(words, start)
    matches = []
    for word in words[first : first + 8 * _COMPLETIONS]:
        if not word.startswith(start):
            break
        if len(word) >= len(start) + _PART:
            matches.append(word)
    return matches


def _new(words: list[str], stems: set[str]) -> list[str]:
    """The words whose stems are not there yet, which are added; each once."""
    fresh = []
    for word in words:
        if _stem(word) not in stems:
            stems.add(_stem(word))
            fresh.append(word)
    return fresh


def _stem(word: str) -> str:
    """The word without an English ending: roughly what the index does."""
    for ending in _ENDINGS:
        if word.endswith(ending) and len(word) - len(ending) >= _PART and not word.endswith("ss"):
            word = word.removesuffix(ending)
            break
    return word[:-1] if word.endswith("e") and len(word) > _PART else word
