"""Foreign errors in one line."""

from __future__ import annotations

import pytest

from exprag.errors import describe


@pytest.mark.parametrize(
    ("message", "line"),
    [
        ("disk full", "RuntimeError: disk full."),
        ("\n\n  first!\nsecond", "RuntimeError: first!"),
        ("Errors in loading state_dict for Llama:\n\tsize mismatch for lm_head", "RuntimeError: size mismatch for lm_head."),
        ("Nothing but a heading:", "RuntimeError: Nothing but a heading:."),
        ("", "RuntimeError."),
        ("x" * 400, f"RuntimeError: {'x' * 299}…"),
    ],
)
def test_the_line_that_says_something(message: str, line: str) -> None:
    assert describe(RuntimeError(message)) == line
