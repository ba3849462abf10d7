"""One action is one move: what joins several is not understood and changes nothing, in every environment."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import pytest

from exprag.contracts.environment import TextEnvironment
from exprag.plugins import create

JOINTS = (" then ", ". ", ", ", "; ", " and ", "\n", " && ")


def refuses_chains(environment: TextEnvironment, moves: list[str]) -> None:
    """After each move, the same move and the next in one action are refused, and what can be done is as it was."""
    for joint in JOINTS:
        before = environment.admissible_actions()
        info = environment.step(joint.join(moves))[-1]
        assert info["valid"] is False, joint
        assert environment.admissible_actions() == before, joint


def test_alfworld() -> None:
    with create("environment", "alfworld-generated") as environment:
        environment.reset(options={"task": "train/pick_heat_then_place_in_recep/0000"})
        first, second, *_ = environment.expert("walkthrough")
        refuses_chains(environment, [first, second])
        assert environment.step(first)[-1]["valid"] is True


def test_webshop(shared: Path) -> None:
    with create("environment", "webshop", data=str(shared / "webshop")) as environment:
        task = next(environment.tasks("train"))
        environment.reset(options={"task": task})
        search = next(environment.expert())
        environment.step(search)
        clicks = list(islice((a for a in environment.admissible_actions() or () if a.startswith("click[b0")), 2))
        refuses_chains(environment, clicks)
        assert environment.step(clicks[0])[-1]["valid"] is True


@pytest.mark.slow
@pytest.mark.scienceworld
def test_scienceworld() -> None:
    pytest.importorskip("scienceworld")
    with create("environment", "scienceworld") as environment:
        environment.reset(options={"task": "boil/0"})
        refuses_chains(environment, ["look around", "inventory"])
        refuses_chains(environment, ["open door to kitchen", "go to kitchen"])
        assert environment.step("open door to kitchen")[-1]["valid"] is True
