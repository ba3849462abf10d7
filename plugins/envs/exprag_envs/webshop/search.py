"""The shop's search: BM25 over product texts, in place of the original's Lucene index.

As Lucene's English analyser does it: words by Unicode's rules, possessives dropped, Lucene's stop words, Porter stems;
BM25 with pyserini's k1 = 0.9 and b = 0.4. Equal scores rank in catalogue order.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

RESULTS = 50
K1, B = 0.9, 0.4
# A word may hold a point or an apostrophe between letters, and a point or comma between digits: "l'eau", "6.76".
_WORD = re.compile(r"\w+(?:(?:(?<=[^\W\d_])['.](?=[^\W\d_])|(?<=\d)['.,](?=\d))\w+)*")
_POSSESSIVE = re.compile(r"['’]s\b")


class Search:
    """Called with keywords: the keys of the at most 50 best matching texts, best first; none that shares no word."""

    def __init__(self, texts: Mapping[str, str]) -> None:
        import bm25s

        self._keys = list(texts)
        self._index = bm25s.BM25(k1=K1, b=B, method="lucene")
        self._index.index([words(text) for text in texts.values()], show_progress=False)

    def __call__(self, keywords: str) -> list[str]:
        import numpy as np

        query = [word for word in words(keywords) if word in self._index.vocab_dict]
        if not query:
            return []
        scores = self._index.get_scores(query)
        order = np.argsort(-scores, kind="stable")[:RESULTS]
        return [self._keys[i] for i in order if scores[i] > 0]


def words(text: str) -> list[str]:
    """The stems that index and query share."""
    import Stemmer
    from bm25s.stopwords import STOPWORDS_EN

    tokens = _WORD.findall(_POSSESSIVE.sub("", text.lower()))
    # A stemmer object must not be shared by threads; making one costs microseconds.
    return Stemmer.Stemmer("porter").stemWords([word for word in tokens if word not in STOPWORDS_EN])
