"""Drafting the next tokens from the text itself: an answer often says again what stands before it.

An agent names what it has read, and says what it said before. Draft tokens are read together with the last known one,
and those that the model would have written itself are kept: several tokens for one pass, and the answer of greedy decoding
(prompt lookup, a form of speculative decoding, arXiv 2211.17192).

Why our own: that of transformers belongs to its `generate`, for one sequence at a time.
"""

from __future__ import annotations

from collections.abc import Sequence

SHORTEST = 2  # tokens that must be the same before a draft
LONGEST = 64  # tokens that are compared


def draft_tokens(tokens: Sequence[int], most: int) -> list[int]:
    """What followed the earlier place that is most like the end of `tokens`: of places that are alike, the latest. At most `most`
    tokens; none where no two tokens are the same."""
    last, end = tokens[-1], len(tokens) - 1
    longest, following, start = SHORTEST - 1, 0, 0
    while True:
        try:
            place = tokens.index(last, start, end)
        except ValueError:
            return list(tokens[following : following + most]) if following else []
        same = 1
        while same < LONGEST and same <= place and tokens[place - same] == tokens[end - same]:
            same += 1
        if same >= max(longest, SHORTEST):
            longest, following = same, place + 1
        start = place + 1
