"""What models say of tokens and cost, and the sum over calls."""

from __future__ import annotations

import pytest

from exprag.trajectory import Usage
from exprag.usage import total


def test_the_sum_keeps_what_only_some_calls_say() -> None:
    calls = [Usage(prompt=10, completion=2, cached=4, cost=0.5), Usage(prompt=1, completion=1), Usage(prompt=5, cached=1)]
    assert total(calls) == Usage(prompt=16, completion=3, cached=5, cost=0.5)
    assert total(calls[1:2]) == Usage(prompt=1, completion=1)
    assert total([]) is None


@pytest.mark.parametrize("cost", [0.0, 0.25])
def test_a_cost_of_nothing_is_a_cost(cost: float) -> None:
    assert total([Usage(cost=cost), Usage()]) == Usage(cost=cost)
