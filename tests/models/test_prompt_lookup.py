"""Draft tokens: what followed the like of them before; never more than asked for."""

from __future__ import annotations

import random

import pytest

from exprag.models.prompt_lookup import draft_tokens


def words(text: str) -> list[int]:
    return [ord(letter) for letter in text]


@pytest.mark.parametrize(
    ("text", "most", "expected"),
    [
        ("take cup 1. look. take cu", 4, "p 1."),
        ("AxyB CxyD AxyE Cxy", 1, "D"),  # the place that is more like the end, though not the latest
        ("xyB xyD xy", 1, "D"),  # of places that are alike, the latest
        ("abcdefg", 5, ""),
        ("ab cb", 5, ""),  # one token alone says nothing
        ("aaa", 5, "a"),
        ("x", 5, ""),
    ],
)
def test_what_followed_the_like_of_it(text: str, most: int, expected: str) -> None:
    assert draft_tokens(words(text), most) == words(expected)


def test_it_is_the_longest_like_beginning() -> None:
    draw = random.Random(0)
    for _ in range(200):
        tokens = [draw.randrange(4) for _ in range(draw.randrange(1, 40))]
        drafted = draft_tokens(tokens, 3)
        lengths = [
            next((n for n in range(place + 1) if tokens[place - n] != tokens[-1 - n]), place + 1)
            for place in range(len(tokens) - 1)
        ]
        longest = max(lengths, default=0)
        if longest < 2:
            assert drafted == []
            continue
        place = max(place for place, length in enumerate(lengths) if length == longest)
        assert drafted == tokens[place + 1 : place + 4]
